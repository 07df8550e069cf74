/** Cases of ONNX's tests that do not run, with the error that each gives. All are `extra`. */
export const expectedFailures: ReadonlyMap<string, RegExp> = new Map(
  [
    // Sampling at places that the data give; no convolutional network of ours needs it yet.
    ...[
      "gridsample",
      "gridsample_aligncorners_true",
      "gridsample_bicubic_align_corners_1_additional_1",
      "gridsample_bilinear",
      "gridsample_bilinear_align_corners_0_additional_1",
      "gridsample_nearest",
      "gridsample_nearest_align_corners_0_additional_1",
      "gridsample_reflection_padding",
      "gridsample_volumetric_bilinear_align_corners_0",
      "gridsample_volumetric_bilinear_align_corners_1",
      "gridsample_volumetric_nearest_align_corners_0",
    ].map((test) => [test, "GridSample"]),
    ...["roialign_aligned_true", "roialign_mode_max"].map((test) => [test, "RoiAlign"]),
    // The number of boxes depends on the data; a graph's shapes do not.
    ...[
      "iou_threshold_boundary",
      "limit_output_size",
      "single_box",
      "suppress_by_IOU_and_scores",
      "two_batches",
      "two_classes",
    ].map((test) => [`nonmaxsuppression_${test}`, "NonMaxSuppression"]),
  ].map(([test, operator]) => [
    `node/test_${test}`,
    new RegExp(`expected operators that this library has .*, got "${operator}"`),
  ]),
);
