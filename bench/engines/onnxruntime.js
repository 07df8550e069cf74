// What onnxruntime-node and onnxruntime-web have in common.
export function openWith(ort, version, options) {
  return {
    version,
    async load({ model, inputs }) {
      const session = await ort.InferenceSession.create(model, options);
      const feeds = Object.fromEntries(
        Object.entries(inputs).map(([name, { data, dims }]) => [
          name,
          new ort.Tensor("float32", data, dims),
        ]),
      );
      return {
        run: () => session.run(feeds),
        read: (outputs) =>
          Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data])),
        close: () => session.release(),
      };
    },
  };
}
