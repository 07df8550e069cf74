/** TensorBoard's messages, as far as we write them, on a library's wire writer. Field numbers: tensorboard/compat/proto and the plugins' own. */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

type Fill = (w: BinaryWriter) => void;

/** A message in a field of another. */
const sub = (w: BinaryWriter, field: number, fill: Fill): void => {
  w.tag(field, WireType.LengthDelimited).fork();
  fill(w);
  w.join();
};
const text = (w: BinaryWriter, field: number, value: string): BinaryWriter =>
  w.tag(field, WireType.LengthDelimited).string(value);
const bytes = (w: BinaryWriter, field: number, value: Uint8Array): BinaryWriter =>
  w.tag(field, WireType.LengthDelimited).bytes(value);
const integer = (w: BinaryWriter, field: number, value: number): BinaryWriter =>
  w.tag(field, WireType.Varint).int64(value);
const double = (w: BinaryWriter, field: number, value: number): BinaryWriter =>
  w.tag(field, WireType.Bit64).double(value);

const message = (fill: Fill): Uint8Array => {
  const w = new BinaryWriter();
  fill(w);
  return w.finish();
};

export interface EventHead {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step: number;
}

const event = ({ wallTime, step }: EventHead, fill: Fill): Uint8Array =>
  message((w) => {
    double(w, 1, wallTime);
    integer(w, 2, step);
    fill(w);
  });

/** The first record of a file. */
export const versionEvent = (head: EventHead): Uint8Array =>
  event(head, (w) => text(w, 3, "brain.Event:2"));

export const graphEvent = (head: EventHead, graph: Uint8Array): Uint8Array =>
  event(head, (w) => bytes(w, 4, graph));

/** One value of a summary: what is under a tag at a step. */
export interface SummaryValue {
  readonly tag: string;
  readonly scalar?: number;
  readonly image?: {
    readonly height: number;
    readonly width: number;
    readonly channels: number;
    readonly png: Uint8Array;
  };
  readonly histogram?: Histogram;
  readonly tensor?: FloatTensor | TextTensor;
  readonly plugin?: { readonly name: string; readonly content?: Uint8Array };
  /** Markdown, shown beside the chart. */
  readonly description?: string;
}

export interface Histogram {
  readonly min: number;
  readonly max: number;
  readonly count: number;
  readonly sum: number;
  readonly sumSquares: number;
  /** Right edges of the buckets, and how many numbers each holds. */
  readonly limits: readonly number[];
  readonly counts: readonly number[];
}

interface FloatTensor {
  readonly shape: readonly number[];
  readonly floats: Float32Array;
}
interface TextTensor {
  readonly shape: readonly number[];
  readonly strings: readonly string[];
}

export const summaryEvent = (head: EventHead, values: readonly SummaryValue[]): Uint8Array =>
  event(head, (w) =>
    sub(w, 5, (summary) => {
      for (const value of values) sub(summary, 1, (v) => writeValue(v, value));
    }),
  );

function writeValue(w: BinaryWriter, value: SummaryValue): void {
  text(w, 1, value.tag);
  if (value.scalar !== undefined) w.tag(2, WireType.Bit32).float(value.scalar);
  const { image, histogram, tensor, plugin, description } = value;
  if (image) {
    sub(w, 4, (i) => {
      integer(i, 1, image.height);
      integer(i, 2, image.width);
      integer(i, 3, image.channels);
      bytes(i, 4, image.png);
    });
  }
  if (histogram) sub(w, 5, (h) => writeHistogram(h, histogram));
  if (tensor) sub(w, 8, (t) => writeTensor(t, tensor));
  if (plugin || description) {
    sub(w, 9, (m) => {
      if (plugin) {
        sub(m, 1, (p) => {
          text(p, 1, plugin.name);
          if (plugin.content) bytes(p, 2, plugin.content);
        });
      }
      if (description) text(m, 3, description);
    });
  }
}

function writeHistogram(w: BinaryWriter, h: Histogram): void {
  [h.min, h.max, h.count, h.sum, h.sumSquares].forEach((value, i) => {
    double(w, 1 + i, value);
  });
  for (const [field, list] of [
    [6, h.limits],
    [7, h.counts],
  ] as const) {
    sub(w, field, (packed) => {
      for (const value of list) packed.double(value);
    });
  }
}

const DT_FLOAT = 1;
const DT_STRING = 7;

function writeTensor(w: BinaryWriter, tensor: FloatTensor | TextTensor): void {
  w.tag(1, WireType.Varint).int32("floats" in tensor ? DT_FLOAT : DT_STRING);
  sub(w, 2, (shape) => {
    for (const size of tensor.shape) sub(shape, 2, (dim) => integer(dim, 1, size));
  });
  if ("floats" in tensor)
    bytes(
      w,
      4,
      new Uint8Array(tensor.floats.buffer, tensor.floats.byteOffset, tensor.floats.byteLength),
    );
  else for (const value of tensor.strings) text(w, 8, value);
}

/** The precision-recall plugin's content. */
export const prCurveContent = (thresholds: number): Uint8Array =>
  message((w) => integer(w, 2, thresholds));

/** A node of the graph page. Names with "/" fold into scopes. */
export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly shapes: readonly (readonly number[])[];
  /** Shown in the node's list of attributes. */
  readonly attributes: Readonly<Record<string, string>>;
}

export const graphDef = (nodes: readonly GraphNode[]): Uint8Array =>
  message((w) => {
    for (const node of nodes) {
      sub(w, 1, (n) => {
        text(n, 1, node.name);
        text(n, 2, node.op);
        for (const input of node.inputs) text(n, 3, input);
        attribute(n, "_output_shapes", (value) =>
          sub(value, 1, (list) => {
            for (const shape of node.shapes) {
              sub(list, 7, (s) => {
                for (const size of shape) sub(s, 2, (dim) => integer(dim, 1, size));
              });
            }
          }),
        );
        for (const [key, shown] of Object.entries(node.attributes))
          attribute(n, key, (value) => text(value, 2, shown));
      });
    }
    sub(w, 4, (versions) => integer(versions, 1, 22));
  });

const attribute = (node: BinaryWriter, key: string, fill: Fill): void =>
  sub(node, 5, (entry) => {
    text(entry, 1, key);
    sub(entry, 2, fill);
  });

export type HparamValue = string | number | boolean;

/** google.protobuf.Value */
const hparamValue = (w: BinaryWriter, value: HparamValue): void => {
  if (typeof value === "number") double(w, 2, value);
  else if (typeof value === "string") text(w, 3, value);
  else w.tag(4, WireType.Varint).bool(value);
};

const HPARAM_TYPES = { string: 1, boolean: 2, number: 3 } as const;

/** The hparams plugin's contents: what was varied and what is measured, a run's values, its end. */
export const hparamsExperiment = (
  hparams: Readonly<Record<string, HparamValue>>,
  metrics: readonly string[],
): Uint8Array =>
  message((w) =>
    sub(w, 2, (experiment) => {
      for (const [name, value] of Object.entries(hparams)) {
        sub(experiment, 4, (info) => {
          text(info, 1, name);
          info
            .tag(4, WireType.Varint)
            .int32(HPARAM_TYPES[typeof value as keyof typeof HPARAM_TYPES]);
        });
      }
      for (const tag of metrics)
        sub(experiment, 5, (metric) => sub(metric, 1, (name) => text(name, 2, tag)));
    }),
  );

export const hparamsStart = (
  hparams: Readonly<Record<string, HparamValue>>,
  seconds: number,
): Uint8Array =>
  message((w) =>
    sub(w, 3, (start) => {
      for (const [name, value] of Object.entries(hparams)) {
        sub(start, 1, (entry) => {
          text(entry, 1, name);
          sub(entry, 2, (v) => hparamValue(v, value));
        });
      }
      double(start, 5, seconds);
    }),
  );

export const hparamsEnd = (seconds: number): Uint8Array =>
  message((w) =>
    sub(w, 4, (end) => {
      end.tag(1, WireType.Varint).int32(1); // success
      double(end, 2, seconds);
    }),
  );
