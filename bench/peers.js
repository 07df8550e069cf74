// The packages that we are timed beside, installed by: npm ci --prefix bench/peers
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export const peer = createRequire(new URL("peers/package.json", import.meta.url));

export const versionOf = (name) =>
  JSON.parse(
    readFileSync(new URL(`peers/node_modules/${name}/package.json`, import.meta.url), "utf8"),
  ).version;
