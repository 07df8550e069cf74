// The pure-TypeScript reference: what plain loops over typed arrays cost.
import { openWith } from "./xcorr.js";

export function open({ threads }) {
  if (threads > 1) throw new Error("has no threads");
  return openWith({ backend: "reference" });
}
