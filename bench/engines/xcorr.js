// xcorr itself; xcorr:avx2 forces an instruction set.
import { readFileSync } from "node:fs";
import { Tensor } from "xcorr";
import { load } from "xcorr/onnx";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url)));

export function openWith(options) {
  return {
    version,
    async load({ model, inputs }) {
      const net = await load(model, options);
      const feeds = Object.fromEntries(
        Object.entries(inputs).map(([name, { data, dims }]) => [name, new Tensor(data, dims)]),
      );
      return {
        run: () => net.run(feeds),
        read: (outputs) =>
          Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data])),
        close: () => net.dispose(),
      };
    },
  };
}

export const open = ({ threads, variant }) =>
  openWith({ backend: "native", threads, isa: variant });
