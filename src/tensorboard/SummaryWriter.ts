/** SummaryWriter: what TensorBoard shows, written as it reads it. torch.utils.tensorboard's surface, in camelCase. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { compile, type Model } from "../compile.js";
import {
  expected,
  LogError,
  OptionError,
  ShapeError,
  show,
  showShape,
  TensorError,
} from "../core/errors.js";
import { checkOptions, readInt } from "../core/options.js";
import { readNumber, Tensor } from "../core/tensor.js";
import { Network } from "../network.js";
import { type EmbeddingOptions, writeEmbedding } from "./embedding.js";
import { EventFile } from "./eventFile.js";
import { graphNodes } from "./graphNodes.js";
import { histogramOf } from "./histogram.js";
import * as messages from "./messages.js";
import { type Dataformats, drawBoxes, grid, type Picture, toPictures, toPng } from "./picture.js";

export interface SummaryWriterOptions {
  /** Ends the file's name. */
  readonly filenameSuffix?: string;
  /** Records that may wait before they are written; default 10. */
  readonly maxQueue?: number;
  /** Seconds after which what waits is written in any case; default 5. */
  readonly flushSecs?: number;
}

export interface EntryOptions {
  /** Seconds since 1970; default: now. */
  readonly wallTime?: number;
  /** Markdown, shown beside the entry. */
  readonly description?: string;
}

export interface ImageOptions extends EntryOptions {
  /** Which axis is what; default "CHW" for addImage, "NCHW" for addImages. */
  readonly dataformats?: Dataformats;
}

/**
 * Writes a log that `tensorboard --logdir` shows, live. A record is written whole or not at all; what was added before the process ends is there, also
 * after process.exit() or an uncaught error. An add that throws changes nothing, and what was added before stays.
 *
 * @see torch.utils.tensorboard.SummaryWriter
 */
export class SummaryWriter {
  private readonly file: EventFile;
  private readonly options: SummaryWriterOptions;
  private timer: NodeJS.Timeout | undefined;
  private readonly embeddings: string[] = [];
  /** Writers of addScalars: one log per line of a chart. */
  private readonly lines = new Map<string, SummaryWriter>();

  /**
   * @param logdir  made if it is not there; each writer makes a file of its own in it
   * @throws {LogError} if it cannot be written to
   */
  constructor(
    readonly logdir: string,
    options: SummaryWriterOptions = {},
  ) {
    checkOptions("SummaryWriter", options, ["filenameSuffix", "maxQueue", "flushSecs"]);
    if (typeof logdir !== "string" || logdir === "")
      throw new OptionError(expected("SummaryWriter", "a log directory", show(logdir)));
    const maxQueue = readInt("SummaryWriter", "maxQueue", options.maxQueue ?? 10, 0);
    this.options = options;
    this.file = new EventFile(logdir, options.filenameSuffix ?? "", maxQueue);
    this.file.append(messages.versionEvent(this.head("SummaryWriter", 0)));
    this.file.flush();
  }

  /** The event file. */
  get path(): string {
    return this.file.path;
  }

  /** One number, a point of a line chart. NaN and infinity are kept: TensorBoard marks them. */
  addScalar(tag: string, value: number | Tensor, step = 0, options: EntryOptions = {}): void {
    const scalar = value instanceof Tensor ? value.item() : value;
    if (typeof scalar !== "number")
      throw new TensorError(
        expected("addScalar", "a number or a tensor of one element", show(value)),
      );
    this.add("addScalar", [{ tag, scalar, description: options.description }], step, options);
  }

  /** Several lines in one chart: { train: 0.3, test: 0.4 } under `mainTag`. Each is a run of its own, in a directory below. */
  addScalars(
    mainTag: string,
    values: Readonly<Record<string, number | Tensor>>,
    step = 0,
    options: EntryOptions = {},
  ): void {
    for (const [name, value] of Object.entries(values)) {
      const folder = join(this.logdir, `${mainTag}_${name}`.replaceAll("/", "_"));
      const writer = this.lines.get(folder) ?? new SummaryWriter(folder, this.options);
      this.lines.set(folder, writer);
      writer.addScalar(mainTag, value, step, options);
    }
  }

  /** How numbers are distributed. `bins`: "tensorflow" (default), or so many of equal width. */
  addHistogram(
    tag: string,
    values: Tensor | readonly number[],
    step = 0,
    options: EntryOptions & { readonly bins?: "tensorflow" | number } = {},
  ): void {
    const histogram = histogramOf("addHistogram", values, options.bins);
    this.add("addHistogram", [{ tag, histogram, description: options.description }], step, options);
  }

  /** One picture: floats from 0 to 1, or uint8; 1, 3 or 4 channels. */
  addImage(tag: string, image: Tensor, step = 0, options: ImageOptions = {}): void {
    const [picture] = toPictures("addImage", image, options.dataformats ?? "CHW");
    this.addPicture(tag, picture, step, options);
  }

  /** A batch of pictures, as one grid. */
  addImages(tag: string, images: Tensor, step = 0, options: ImageOptions = {}): void {
    this.addPicture(
      tag,
      grid(toPictures("addImages", images, options.dataformats ?? "NCHW")),
      step,
      options,
    );
  }

  /** A picture with boxes (N, 4): left, top, right, bottom in pixels. */
  addImageWithBoxes(
    tag: string,
    image: Tensor,
    boxes: Tensor,
    step = 0,
    options: ImageOptions = {},
  ): void {
    if (boxes.rank !== 2 || boxes.shape[1] !== 4)
      throw new ShapeError(expected("addImageWithBoxes", "boxes (N, 4)", showShape(boxes.shape)));
    const [picture] = toPictures("addImageWithBoxes", image, options.dataformats ?? "CHW");
    this.addPicture(tag, drawBoxes(picture, boxes.toArray() as number[][]), step, options);
  }

  /** A picture whose pixels are there already. */
  addPicture(tag: string, picture: Picture, step = 0, options: EntryOptions = {}): void {
    const { height, width, channels } = picture;
    this.add(
      "addImage",
      [
        {
          tag,
          image: { height, width, channels, png: toPng(picture) },
          description: options.description,
        },
      ],
      step,
      options,
    );
  }

  /** Markdown. */
  addText(tag: string, text: string, step = 0, options: EntryOptions = {}): void {
    const value = {
      tag: `${tag}/text_summary`,
      tensor: { shape: [1], strings: [text] },
      plugin: { name: "text" },
    };
    this.add("addText", [{ ...value, description: options.description }], step, options);
  }

  /**
   * The graph of a model, with the shape of every tensor and each layer's parameters.
   *
   * @param input  an example, or its shape; may be left off for a network whose sizes are fixed
   */
  addGraph(
    model: Model | Network,
    input?: Tensor | readonly number[] | Readonly<Record<string, Tensor>>,
  ): void {
    const example = Array.isArray(input) ? Tensor.zeros(input) : input;
    if (!(model instanceof Network) && !(example instanceof Tensor))
      throw new OptionError(
        expected("addGraph", "an example input of the model, or its shape", show(input)),
      );
    const network =
      model instanceof Network
        ? model
        : compile(model, example as Tensor, { backend: "reference" });
    const feeds = Object.fromEntries(
      network.inputs.map(({ name, dtype, shape }, i) => {
        const given =
          example instanceof Tensor
            ? i === 0
              ? example
              : undefined
            : (example as Record<string, Tensor> | undefined)?.[name];
        if (!given && !shape.every((n) => typeof n === "number"))
          throw new OptionError(
            expected("addGraph", `an example of input "${name}" (${shape.join(", ")})`, "none"),
          );
        return [name, given ?? Tensor.zeros(shape as number[], dtype)];
      }),
    );
    const nodes = graphNodes(network.graph(feeds));
    this.append(messages.graphEvent(this.head("addGraph", 0), messages.graphDef(nodes)));
  }

  /** What was varied in this run, and what came of it. */
  addHparams(
    hparams: Readonly<Record<string, messages.HparamValue>>,
    metrics: Readonly<Record<string, number>>,
  ): void {
    for (const [name, value] of Object.entries(hparams))
      if (!["string", "number", "boolean"].includes(typeof value))
        throw new OptionError(
          expected("addHparams", `a string, number or boolean for "${name}"`, show(value)),
        );
    const now = Date.now() / 1000;
    const contents = {
      "_hparams_/experiment": messages.hparamsExperiment(hparams, Object.keys(metrics)),
      "_hparams_/session_start_info": messages.hparamsStart(hparams, now),
      "_hparams_/session_end_info": messages.hparamsEnd(now),
    };
    for (const [tag, content] of Object.entries(contents))
      this.add("addHparams", [{ tag, plugin: { name: "hparams", content } }], 0, {});
    for (const [tag, value] of Object.entries(metrics)) this.addScalar(tag, value);
  }

  /**
   * Precision and recall over thresholds.
   *
   * @param labels       0 or 1, or booleans
   * @param predictions  from 0 to 1, as many
   */
  addPrCurve(
    tag: string,
    labels: Tensor | readonly number[],
    predictions: Tensor | readonly number[],
    step = 0,
    options: EntryOptions & { readonly thresholds?: number } = {},
  ): void {
    const [truth, scores] = [labels, predictions].map((list) =>
      list instanceof Tensor
        ? Array.from({ length: list.size }, (_, i) => readNumber(list, i))
        : list,
    );
    if (truth.length !== scores.length || truth.length === 0)
      throw new ShapeError(
        expected(
          "addPrCurve",
          "as many labels as predictions",
          `${truth.length} and ${scores.length}`,
        ),
      );
    const bad = scores.find((p) => !(p >= 0 && p <= 1));
    if (bad !== undefined)
      throw new TensorError(expected("addPrCurve", "predictions from 0 to 1", String(bad)));
    const n = readInt("addPrCurve", "thresholds", options.thresholds ?? 127, 2, 127);
    const floats = new Float32Array(6 * n);
    for (let t = 0; t < n; t++) {
      const threshold = t / (n - 1);
      let [tp, fp, tn, fn] = [0, 0, 0, 0];
      truth.forEach((label, i) => {
        const said = scores[i] >= threshold;
        if (label) said ? tp++ : fn++;
        else said ? fp++ : tn++;
      });
      [tp, fp, tn, fn, tp / Math.max(1, tp + fp), tp / Math.max(1, tp + fn)].forEach(
        (value, row) => {
          floats[row * n + t] = value;
        },
      );
    }
    const plugin = { name: "pr_curves", content: messages.prCurveContent(n) };
    this.add(
      "addPrCurve",
      [{ tag, tensor: { shape: [6, n], floats }, plugin, description: options.description }],
      step,
      options,
    );
  }

  /** Points (N, D) for the projector: files beside the log. */
  addEmbedding(points: Tensor, options: EmbeddingOptions = {}): void {
    try {
      this.embeddings.push(writeEmbedding(this.logdir, points, options));
      writeFileSync(join(this.logdir, "projector_config.pbtxt"), `${this.embeddings.join("\n")}\n`);
    } catch (error) {
      if (error instanceof Error && "code" in error && "syscall" in error)
        throw new LogError(
          expected("addEmbedding", "a directory that can be written to", error.message),
          { cause: error },
        );
      throw error;
    }
  }

  /** Writes what waits. @throws {LogError} if there is no room */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.file.flush();
    for (const writer of this.lines.values()) writer.flush();
  }

  /** Writes what waits and closes the file. Adding after that is an error. */
  close(): void {
    clearTimeout(this.timer);
    this.file.close();
    for (const writer of this.lines.values()) writer.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private head(where: string, step: number, wallTime = Date.now() / 1000): messages.EventHead {
    if (!Number.isSafeInteger(step))
      throw new OptionError(expected(where, 'an integer for "step"', show(step)));
    return { step, wallTime };
  }

  private add(
    where: string,
    values: readonly messages.SummaryValue[],
    step: number,
    options: EntryOptions,
  ): void {
    for (const { tag } of values)
      if (typeof tag !== "string" || tag === "")
        throw new OptionError(expected(where, "a tag", show(tag)));
    this.append(messages.summaryEvent(this.head(where, step, options.wallTime), values));
  }

  private append(event: Uint8Array): void {
    this.file.append(event);
    // A log that nobody adds to any more is written out all the same. The timer keeps no process alive.
    this.timer ??= setTimeout(() => this.flush(), (this.options.flushSecs ?? 5) * 1000).unref();
  }
}
