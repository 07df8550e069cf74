"""Checks the models of a folder and runs each on its input; prints the first outputs as JSON."""
import json, sys
import numpy as np, onnx, onnxruntime

out = []
for i, case in enumerate(json.load(open(f"{sys.argv[1]}/cases.json"))):
    path = f"{sys.argv[1]}/{i}.onnx"
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = np.array(case["input"], np.float32).reshape(case["shape"])
    out.append(session.run(None, {session.get_inputs()[0].name: x})[0].astype(float).ravel().tolist())
print(json.dumps(out))
