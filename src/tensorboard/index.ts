/** xcorr/tensorboard: event files that TensorBoard shows, and pictures of networks for them. */
import "../backends/choose.js";

export type { EmbeddingOptions } from "./embedding.js";
export type { HparamValue } from "./messages.js";
export type { Dataformats, Picture } from "./picture.js";
export {
  type EntryOptions,
  type ImageOptions,
  SummaryWriter,
  type SummaryWriterOptions,
} from "./SummaryWriter.js";
export * as summary from "./summary.js";
