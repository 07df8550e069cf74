/**
 * The list of ops, and the public functions over them. To add an op: its file, one line in `ops`, one export.
 */
import type { OpDef } from "../core/op.js";
import { batchNormTrainingOp } from "./batchNormTraining.js";
import { arithmeticOps, comparisonOps, whereOp } from "./binary.js";
import { castOp } from "./cast.js";
import { channelShuffleOp } from "./channelShuffle.js";
import { conv2dOp } from "./conv2d.js";
import { conv2dInputGradientOp, conv2dWeightGradientOp } from "./conv2dGradient.js";
import { conv3dOp } from "./conv3d.js";
import { convTranspose2dOp, convTranspose3dOp } from "./convTranspose.js";
import * as data from "./data.js";
import { depthToSpaceOp, spaceToDepthOp } from "./depthToSpace.js";
import { gatherElementsOp, gatherNdOp, gatherOp } from "./gather.js";
import * as globalPool from "./globalPool.js";
import { gemmOp, linearOp, matmulOp } from "./linear.js";
import * as norm from "./norm.js";
import { padOp } from "./pad.js";
import { pointwiseDepthwiseOp } from "./pointwiseDepthwise.js";
import * as pool from "./pool.js";
import { avgPoolGradientOps, maxPoolGradientOps } from "./poolGradient.js";
import * as quantize from "./quantize.js";
import { argMaxOp, argMinOp, cumSumOp, reduceOps, topKOp } from "./reduce.js";
import { resizeOp } from "./resize.js";
import { hardmaxOp, logSoftmaxOp, softmaxOp } from "./softmax.js";
import { predicateOps, unaryOps } from "./unary.js";

const list: readonly OpDef[] = [
  conv2dOp,
  pointwiseDepthwiseOp,
  conv3dOp,
  convTranspose2dOp,
  convTranspose3dOp,
  pool.maxPool2dOp,
  pool.maxPool3dOp,
  pool.avgPool2dOp,
  pool.avgPool3dOp,
  pool.lpPool2dOp,
  pool.lpPool3dOp,
  globalPool.globalAvgPoolOp,
  globalPool.globalMaxPoolOp,
  globalPool.adaptiveAvgPool2dOp,
  globalPool.adaptiveMaxPool2dOp,
  globalPool.maxUnpool2dOp,
  conv2dInputGradientOp,
  conv2dWeightGradientOp,
  ...Object.values(maxPoolGradientOps),
  ...Object.values(avgPoolGradientOps),
  linearOp,
  matmulOp,
  gemmOp,
  norm.batchNormOp,
  batchNormTrainingOp,
  norm.instanceNormOp,
  norm.groupNormOp,
  norm.layerNormOp,
  norm.channelNormOp,
  norm.localResponseNormOp,
  norm.lpNormalizeOp,
  norm.meanVarianceNormOp,
  softmaxOp,
  logSoftmaxOp,
  hardmaxOp,
  ...Object.values(unaryOps),
  ...Object.values(predicateOps),
  ...Object.values(arithmeticOps),
  ...Object.values(comparisonOps),
  whereOp,
  castOp,
  data.reshapeOp,
  data.transposeOp,
  data.concatOp,
  data.splitOp,
  data.sliceOp,
  data.expandOp,
  data.tileOp,
  gatherOp,
  gatherElementsOp,
  gatherNdOp,
  depthToSpaceOp,
  spaceToDepthOp,
  channelShuffleOp,
  data.reorderOp,
  padOp,
  resizeOp,
  ...Object.values(reduceOps),
  argMaxOp,
  argMinOp,
  topKOp,
  cumSumOp,
  quantize.quantizeLinearOp,
  quantize.dequantizeLinearOp,
  quantize.dynamicQuantizeLinearOp,
  quantize.convIntegerOp,
  quantize.qlinearConvOp,
  quantize.matmulIntegerOp,
  quantize.qlinearMatmulOp,
];

/** Every op by name. */
export const ops: ReadonlyMap<string, OpDef> = new Map(list.map((op) => [op.name, op]));
