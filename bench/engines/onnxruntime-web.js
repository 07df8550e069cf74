// onnxruntime's WebAssembly: 128-bit vectors, and threads, in Node too.
import { peer, versionOf } from "../peers.js";
import { openWith } from "./onnxruntime.js";

export function open({ threads }) {
  const ort = peer("onnxruntime-web");
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  return openWith(ort, versionOf("onnxruntime-web"), { executionProviders: ["wasm"] });
}
