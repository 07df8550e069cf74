import { peer, versionOf } from "../peers.js";
import { openWith } from "./onnxruntime.js";

export const open = ({ threads }) =>
  openWith(peer("onnxruntime-node"), versionOf("onnxruntime-node"), {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
