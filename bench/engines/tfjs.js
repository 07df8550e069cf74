// TensorFlow.js reads no ONNX: our importer reads the file, and the layers of its graph become calls of tfjs. Single layers of images only, in its
// own layout, channels last; the input is brought there before the time is taken, the output stays there.
import { Tensor } from "xcorr";
import { load } from "xcorr/onnx";
import { peer, versionOf } from "../peers.js";

/** (N, C, H, W) -> (N, H, W, C), or whatever permutation. */
const transpose = (tf, { data, shape }, order) =>
  tf.tidy(() => tf.transpose(tf.tensor(data, shape), order));

const pads = ([top, left, bottom, right]) =>
  top || left || bottom || right
    ? [
        [0, 0],
        [top, bottom],
        [left, right],
        [0, 0],
      ]
    : "valid";

const MAKERS = {
  conv2d(tf, { stride, padding, dilation, groups }, [weight, bias]) {
    const depthwise = groups > 1 && weight.shape[1] === 1 && weight.shape[0] === groups;
    if (groups > 1 && !depthwise) throw new Error("has no grouped convolution");
    // (Out, In, Kh, Kw) -> (Kh, Kw, In, Out); depthwise (Kh, Kw, Channels, 1).
    const filter = transpose(tf, weight, depthwise ? [2, 3, 0, 1] : [2, 3, 1, 0]);
    const convolve = depthwise ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
    const options = { filter, strides: stride, pad: pads(padding), dilations: dilation };
    const shift = bias && tf.tensor1d(bias.data);
    return (x) => convolve({ x, ...options, bias: shift });
  },
  maxPool2d(tf, { kernel, stride, padding, dilation, ceilMode }) {
    if (ceilMode || dilation.some((d) => d > 1)) throw new Error("has no such pool");
    const pad = pads(padding);
    const lowest = -3.4e38;
    return (x) => tf.maxPool(pad === "valid" ? x : tf.pad(x, pad, lowest), kernel, stride, "valid");
  },
  globalAvgPool: (tf) => (x) => tf.mean(x, [1, 2], true),
};

export const openWith =
  (backend) =>
  async ({ threads }) => {
    if (threads > 1) throw new Error("has no threads in Node");
    const tf = peer("@tensorflow/tfjs-core");
    peer(`@tensorflow/tfjs-backend-${backend}`);
    // No checks, no advertisement.
    tf.enableProdMode();
    await tf.setBackend(backend);
    return { version: versionOf("@tensorflow/tfjs-core"), load: (one) => loadLayer(tf, one) };
  };

async function loadLayer(tf, { model, inputs }) {
  const net = await load(model, { backend: "reference" });
  const [[name, { data, dims }]] = Object.entries(inputs);
  const graph = net.graph({ [name]: new Tensor(data, dims) });
  const [node] = graph.nodes;
  const make = MAKERS[node.op.name];
  if (graph.nodes.length > 1 || !make) throw new Error("single convolutions and pools only");
  tf.engine().startScope();
  const layer = make(
    tf,
    node.attrs,
    node.inputs.slice(1).map(({ constant }) => constant),
  );
  const x = transpose(tf, { data, shape: dims }, [0, 2, 3, 1]);
  return {
    async run() {
      const y = tf.tidy(() => layer(x));
      const result = { data: await y.data(), shape: y.shape };
      y.dispose();
      return result;
    },
    read: (y) => ({ [graph.outputs[0].name]: transpose(tf, y, [0, 3, 1, 2]).dataSync() }),
    close: () => tf.engine().endScope(),
  };
}
