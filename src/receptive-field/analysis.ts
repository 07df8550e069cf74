/**
 * receptiveField: what every unit of a network sees of its input image.
 *
 * Along each axis, unit `at` of a layer sees the pixels  at * stride - padding  to  at * stride - padding + size - 1: the layer's receptive field, its
 * stride and its padding as google-research/receptive_field tabulates them (Araujo et al. 2019, "Computing Receptive Fields of Convolutional
 * Neural Networks"). The middle of the first unit's field is the layer's offset, (size - 1) / 2 - padding. Where ways of different length join, size
 * is that of the largest, and minSize that of the smallest.
 */
import { expected, OptionError, ShapeError, show } from "../core/errors.js";
import { nearest } from "../core/options.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import { type Interval, lookBack, placesBehind, sightOf, spatialShape } from "./look.js";

/** A layer along one axis, in input pixels. Infinity: units see everything. */
export interface AxisField {
  readonly size: number;
  /** Of the shortest way through the network. */
  readonly minSize: number;
  readonly stride: number;
  /** Pixels that the first unit's field reaches over the image's beginning. */
  readonly padding: number;
  /** Place of the middle of the first unit's field. */
  readonly offset: number;
}

export interface LayerField {
  /** Of the tensor: what box() and unitsSeeing() take. */
  readonly name: string;
  readonly op: string;
  readonly shape: readonly number[];
  /** One per spatial axis: height, width. Empty if the layer has no image any more. */
  readonly axes: readonly AxisField[];
  /** What comes in sees the whole image already along some axis, so that a larger window adds no context. */
  readonly unproductive: boolean;
  /** Ways that join here have other strides or middles: their fields do not lie on one another. */
  readonly misaligned: boolean;
}

/** Pixels from (top, left) to (bottom, right), all inclusive. */
export interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/** A place far away that is a whole number of steps for all usual scales. */
const FAR = 5040;

export class ReceptiveField {
  /** Every layer that the image reaches, in the order of the graph. */
  readonly layers: readonly LayerField[];
  /** (height, width) of the image. */
  readonly inputSize: readonly number[];
  private readonly values: ReadonlyMap<string, Value>;

  constructor(
    private readonly graph: Graph,
    readonly input: Value,
    wanted?: readonly string[],
  ) {
    this.inputSize = spatialShape(input);
    const reached = reachedFrom(graph, input);
    this.values = new Map([
      [input.name, input],
      ...[...reached].map((v) => [v.name, v] as const),
      ...outputNames(graph, reached),
    ]);
    const fields = new Map<Value, readonly AxisField[]>([
      [
        input,
        this.inputSize.map(() => ({ size: 1, minSize: 1, stride: 1, padding: 0, offset: 0 })),
      ],
    ]);
    const layers: LayerField[] = [];
    for (const node of graph.nodes) {
      const sources = node.inputs.filter((v) => fields.has(v));
      if (sources.length === 0) continue;
      for (const output of node.outputs) {
        const axes = spatialShape(output).map((_, axis) =>
          this.fieldOf(node, output, axis, fields),
        );
        fields.set(output, axes);
        layers.push(this.describe(node, output, axes, sources, fields));
      }
    }
    this.layers =
      wanted === undefined
        ? layers
        : wanted.map((name) => layers[layers.findIndex((l) => l.name === this.value(name).name)]);
  }

  private fieldOf(
    node: Node,
    output: Value,
    axis: number,
    fields: ReadonlyMap<Value, readonly AxisField[]>,
  ): AxisField {
    const look = (at: number): Interval =>
      lookBack(this.graph, output, this.input, axis, at) ?? [Number.NaN, Number.NaN];
    const [first, far] = [look(0), look(FAR)];
    if (!Number.isFinite(first[0])) {
      const all = Number.POSITIVE_INFINITY;
      return {
        size: all,
        minSize: all,
        stride: 0,
        padding: all,
        offset: (this.inputSize[axis] - 1) / 2,
      };
    }
    const stride = (far[0] - first[0]) / FAR;
    const samples = Number.isInteger(stride)
      ? [first]
      : Array.from({ length: 16 }, (_, at) => look(at));
    const size = Math.max(...samples.map(([a, b]) => b - a + 1));
    // A window widens all ways alike; what joins is as wide as its narrowest way.
    const narrowest = node.inputs.flatMap((input, k) => {
      const before = fields.get(input)?.[axis];
      if (!before) return [];
      const sight = sightOf(node, k, axis);
      const span = sight === "whole" ? 1 : Math.max(1, sight(0)[1] - sight(0)[0] + 1);
      return [before.minSize + (span - 1) * before.stride];
    });
    return {
      size,
      minSize: Math.min(size, ...narrowest),
      stride,
      padding: -first[0],
      offset: (first[0] + first[1]) / 2,
    };
  }

  private describe(
    node: Node,
    output: Value,
    axes: readonly AxisField[],
    sources: readonly Value[],
    fields: ReadonlyMap<Value, readonly AxisField[]>,
  ): LayerField {
    const windowed = (axis: number): boolean => {
      const sight = sightOf(node, node.inputs.indexOf(sources[0]), axis);
      return sight !== "whole" && sight(0)[1] > sight(0)[0];
    };
    const before = sources.map((v) => fields.get(v) ?? []);
    const joined = before.filter((fields) => fields.length === axes.length && axes.length > 0);
    const differ = (a: number, b: number): boolean =>
      Number.isFinite(a) && Number.isFinite(b) && Math.abs(a - b) > 1e-9;
    return {
      name: output.name,
      op: node.op.name,
      shape: output.type.shape,
      axes,
      unproductive: axes.some(
        (_, axis) => windowed(axis) && (before[0][axis]?.size ?? 0) >= this.inputSize[axis],
      ),
      misaligned: joined.some((fields) =>
        fields.some(
          (f, axis) =>
            differ(f.stride, joined[0][axis].stride) || differ(f.offset, joined[0][axis].offset),
        ),
      ),
    };
  }

  /** A tensor by its name, the model's input and outputs included. */
  private value(name: string): Value {
    const value = this.values.get(name);
    if (value) return value;
    const near = nearest(name, [...this.values.keys()]);
    throw new OptionError(
      expected(
        "receptiveField",
        "the name of a layer that the image reaches",
        show(name),
        near && `did you mean "${near}"?`,
      ),
    );
  }

  /** One layer's row. */
  layer(name: string): LayerField {
    const { name: own } = this.value(name);
    return this.layers.find((layer) => layer.name === own) as LayerField;
  }

  /** A unit's place, checked; a layer that is no image has one unit, 0. */
  private unit(name: string, place: readonly number[]): { value: Value; sizes: readonly number[] } {
    const value = this.value(name);
    const sizes = spatialShape(value);
    sizes.forEach((size, axis) => {
      const at = place[axis];
      if (!Number.isInteger(at) || at < 0 || at >= size)
        throw new ShapeError(
          expected(
            "receptiveField",
            `a unit of "${name}" from 0 to ${size - 1} along ${axis === 0 ? "y" : "x"}`,
            show(at),
          ),
        );
    });
    return { value, sizes };
  }

  /**
   * The smallest box of input pixels that holds everything that a unit is made of: clipped to the image, and without what only reached it through
   * padding on the way. undefined if it sees nothing.
   *
   * @throws {OptionError} for an unknown layer; {ShapeError} for a unit outside it
   */
  box(layer: string, y = 0, x = 0): Box | undefined {
    const { value, sizes } = this.unit(layer, [y, x]);
    const [rows, columns] = [0, 1].map((axis): Interval | undefined => {
      if (axis >= this.inputSize.length) return [0, 0];
      if (axis >= sizes.length) return [0, this.inputSize[axis] - 1];
      const places = placesBehind(this.graph, value, this.input, axis, [y, x][axis]);
      return places && [Math.min(...places), Math.max(...places)];
    });
    if (!rows || !columns) return undefined;
    return { top: rows[0], left: columns[0], bottom: rows[1], right: columns[1] };
  }

  /**
   * The other way round: the units of a layer that an input pixel reaches, as a box of units; undefined if none does.
   *
   * @throws {ShapeError} for a pixel outside the image
   */
  unitsSeeing(layer: string, y: number, x: number): Box | undefined {
    this.unit(this.input.name, [y, x]);
    const value = this.value(layer);
    const [rows, columns] = [0, 1].map((axis): Interval | undefined => {
      const size = spatialShape(value)[axis];
      if (size === undefined) return [0, 0];
      const sees = (at: number): boolean =>
        placesBehind(this.graph, value, this.input, axis, at)?.has([y, x][axis]) ?? false;
      const units = Array.from({ length: size }, (_, at) => at).filter(sees);
      return units.length === 0 ? undefined : [units[0], units[units.length - 1]];
    });
    if (!rows || !columns) return undefined;
    return { top: rows[0], left: columns[0], bottom: rows[1], right: columns[1] };
  }

  /** Names of the layers whose window adds no context, for an image of this size. */
  unproductive(): string[] {
    return this.layers.filter((layer) => layer.unproductive).map(({ name }) => name);
  }

  toJSON(): object {
    return { input: { name: this.input.name, shape: this.input.type.shape }, layers: this.layers };
  }

  /** A table: one row per layer, sizes as height x width where they differ. */
  toString(): string {
    const both = (axes: readonly AxisField[], key: keyof AxisField): string => {
      const shown = axes.map((a) =>
        Number.isFinite(a[key]) ? String(+a[key].toFixed(3)) : "whole",
      );
      return new Set(shown).size <= 1 ? (shown[0] ?? "whole") : shown.join("x");
    };
    const notes = (l: LayerField): string =>
      [l.unproductive && "unproductive", l.misaligned && "misaligned"].filter(Boolean).join(", ");
    const rows = this.layers.map((l) => [
      l.name,
      l.op,
      l.shape.join("x"),
      both(l.axes, "size"),
      both(l.axes, "stride"),
      both(l.axes, "padding"),
      both(l.axes, "offset"),
      notes(l),
    ]);
    const table = [["layer", "op", "shape", "field", "stride", "padding", "offset", ""], ...rows];
    const widths = table[0].map((_, c) =>
      Math.min(48, Math.max(...table.map((row) => row[c].length))),
    );
    const cell = (text: string, c: number): string => {
      const short =
        text.length > widths[c] ? `...${text.slice(text.length - widths[c] + 3)}` : text;
      return c < 3 || c === 7 ? short.padEnd(widths[c]) : short.padStart(widths[c]);
    };
    return table.map((row) => row.map(cell).join("  ").trimEnd()).join("\n");
  }
}

/** All values that an input has a way to. */
function reachedFrom(graph: Graph, input: Value): Set<Value> {
  const reached = new Set<Value>([input]);
  for (const node of graph.nodes)
    if (node.inputs.some((v) => reached.has(v))) for (const v of node.outputs) reached.add(v);
  return reached;
}

/** Names that callers know values by: the outputs', and the model's other names. */
const outputNames = (graph: Graph, reached: ReadonlySet<Value>): (readonly [string, Value])[] =>
  [...graph.outputs.map(({ name, value }) => [name, value] as const), ...graph.aliases].filter(
    ([, value]) => reached.has(value),
  );
