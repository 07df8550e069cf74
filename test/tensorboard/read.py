"""Prints what TensorBoard's own reader finds in a log directory, as JSON."""
import base64, json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

log = EventAccumulator(sys.argv[1], size_guidance={k: 0 for k in ("scalars", "images", "histograms", "tensors")})
log.Reload()
tags = log.Tags()
out = {"tags": tags}
out["scalars"] = {t: [[e.step, e.value] for e in log.Scalars(t)] for t in tags["scalars"]}
out["images"] = {t: [[e.step, e.width, e.height, base64.b64encode(e.encoded_image_string).decode()] for e in log.Images(t)] for t in tags["images"]}
out["histograms"] = {}
for t in tags["histograms"]:
    h = log.Histograms(t)[0].histogram_value
    out["histograms"][t] = {"min": h.min, "max": h.max, "num": h.num, "sum": h.sum, "limit": list(h.bucket_limit), "bucket": list(h.bucket)}
out["tensors"] = {}
for t in tags["tensors"]:
    value = tensor_util.make_ndarray(log.Tensors(t)[0].tensor_proto)
    out["tensors"][t] = [v.decode() for v in value.flat] if value.dtype == object else value.tolist()
if tags["graph"]:
    out["graph"] = [{"name": n.name, "op": n.op, "input": list(n.input), "attr": sorted(n.attr)} for n in log.Graph().node]
print(json.dumps(out).replace("NaN", '"NaN"').replace("Infinity", '"Infinity"'))
