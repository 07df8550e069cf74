import { openWith } from "./tfjs.js";

export const open = openWith("cpu");
