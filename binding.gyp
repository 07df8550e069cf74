# The addon and one static library per instruction set: gyp has no flags per source, so each gets a target of its own. Only these
# targets are compiled for more than the baseline of their architecture, and each exports one symbol, its table of kernels.
{
  "variables": {
    "avx2_flags": ["-mavx2", "-mfma", "-mf16c"],
    "avx512_flags": ["-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512cd", "-mavx512dq", "-mavx512vl"],
    # -ffp-contract=off: a fused multiply-add happens only where the source says MulAdd.
    "common_flags": ["-std=c++17", "-O3", "-ffp-contract=off", "-fvisibility=hidden", "-Wall", "-Wextra"],
  },
  "target_defaults": {
    "cflags_cc!": ["-fno-exceptions", "-std=gnu++17", "-std=gnu++20", "-O2"],
    "cflags_cc": ["<@(common_flags)"],
    "xcode_settings": {
      "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
      "GCC_OPTIMIZATION_LEVEL": "3",
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "MACOSX_DEPLOYMENT_TARGET": "11.0",
      "OTHER_CPLUSPLUSFLAGS": ["-ffp-contract=off", "-fvisibility=hidden"],
    },
    "msvs_settings": {"VCCLCompilerTool": {"ExceptionHandling": 1, "AdditionalOptions": ["/std:c++17", "/fp:precise"]}},
  },
  "targets": [
    {"target_name": "isa_scalar", "type": "static_library", "sources": ["native/isa/scalar.cpp"]},
    {
      "target_name": "xcorr",
      "sources": [
        "native/addon/addon.cpp",
        "native/addon/arguments.cpp",
        "native/addon/environment.cpp",
        "native/addon/execution.cpp",
        "native/addon/programObject.cpp",
        "native/addon/results.cpp",
        "native/network/program.cpp",
        "native/ops/channels.cpp",
        "native/ops/constant.cpp",
        "native/ops/conv2d.cpp",
        "native/ops/convDepthwisePlanes.cpp",
        "native/ops/convLanewise.cpp",
        "native/ops/convPlanes.cpp",
        "native/ops/convPointwisePlanes.cpp",
        "native/ops/convStrassen.cpp",
        "native/ops/convTiles.cpp",
        "native/ops/convTranspose2d.cpp",
        "native/ops/convTransposePhases.cpp",
        "native/ops/convTransposeScattered.cpp",
        "native/ops/convWeightGradient.cpp",
        "native/ops/convWinograd.cpp",
        "native/ops/convWinogradWeights.cpp",
        "native/ops/data.cpp",
        "native/ops/elementwise.cpp",
        "native/ops/epilogue.cpp",
        "native/ops/layout.cpp",
        "native/ops/measureStep.cpp",
        "native/ops/inputNorm.cpp", "native/ops/norm.cpp",
        "native/ops/op.cpp",
        "native/ops/pointwiseDepthwise.cpp",
        "native/ops/pool.cpp",
        "native/ops/poolGradient.cpp",
        "native/ops/product.cpp",
        "native/ops/reduce.cpp",
        "native/ops/resize.cpp",
        "native/runtime/arena.cpp",
        "native/runtime/cpu.cpp",
        "native/runtime/resultMemory.cpp",
        "native/runtime/threadTeam.cpp",
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include_dir\")"],
      # The last: an error in a worker that is being terminated cannot be thrown any more, and must not end the process.
      "defines": ["NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "dependencies": ["isa_scalar"],
      "conditions": [
        ["target_arch=='x64'", {"dependencies": ["isa_sse2", "isa_avx2", "isa_avx512"]}],
        ["target_arch=='arm64'", {"dependencies": ["isa_neon"]}],
      ],
    },
  ],
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        {"target_name": "isa_sse2", "type": "static_library", "sources": ["native/isa/sse2.cpp"]},
        {
          "target_name": "isa_avx2",
          "type": "static_library",
          "sources": ["native/isa/avx2.cpp"],
          "cflags_cc": ["<@(avx2_flags)"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(avx2_flags)"]},
          "msvs_settings": {"VCCLCompilerTool": {"AdditionalOptions": ["/arch:AVX2"]}},
        },
        {
          "target_name": "isa_avx512",
          "type": "static_library",
          "sources": ["native/isa/avx512.cpp"],
          # GCC 12 warns of the undefined upper half in its own header.
          "cflags_cc": ["<@(avx512_flags)", "-Wno-maybe-uninitialized", "-Wno-uninitialized"],
          "xcode_settings": {"OTHER_CPLUSPLUSFLAGS": ["<@(avx512_flags)"]},
          "msvs_settings": {"VCCLCompilerTool": {"AdditionalOptions": ["/arch:AVX512"]}},
        },
      ],
    }],
    ["target_arch=='arm64'", {
      "targets": [{"target_name": "isa_neon", "type": "static_library", "sources": ["native/isa/neon.cpp"]}],
    }],
  ],
}
