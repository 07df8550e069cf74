#!/usr/bin/env node
/** xcorr: the command line. Exit code 0: done, 1: failed, 2: wrong usage. */
import { createRequire } from "node:module";
import { Command, CommanderError, Option } from "commander";
import { OptionError } from "xcorr";
import { classify } from "./commands/classify.js";
import { inspect } from "./commands/inspect.js";
import { receptiveFieldCommand } from "./commands/receptiveField.js";
import { run } from "./commands/run.js";
import { visualize } from "./commands/visualize.js";

const { version } = createRequire(import.meta.url)("xcorr/package.json") as { version: string };
const collect = (value: string, list: string[]): string[] => [...list, value];
const backend = () =>
  new Option("--backend <name>", "what runs it").choices(["native", "reference"]);
const isa = () =>
  new Option("--isa <name>", "instruction set").choices([
    "scalar",
    "sse2",
    "avx2",
    "avx512",
    "neon",
  ]);

const program = new Command("xcorr")
  .description("Convolutional networks: classify pictures, run and inspect ONNX models.")
  .version(version)
  .exitOverride()
  .showHelpAfterError("(xcorr --help lists the commands)");

program
  .command("classify")
  .description(
    "What is on a picture (JPEG, PNG, WebP): the most probable classes, and how long it took.",
  )
  .argument("[image]", "a file; default: a cup of espresso that comes with the package")
  .option("--model <file>", "an ONNX classifier; default: EfficientNet-Lite0")
  .option("--labels <file>", "JSON array of class names")
  .option("--top <n>", "classes to show", "5")
  .option("--threads <n>", "threads of one run")
  .option("--no-compare", "do not time the pure TypeScript reference as well")
  .option("--json", "one line of JSON")
  .addOption(backend())
  .addOption(isa())
  .action(classify);

program
  .command("run")
  .description("Runs an ONNX model on .npy files.")
  .argument("<model>", "an .onnx file")
  .option("--input <name=file.npy>", "an input; repeat for more", collect, [])
  .option("--output <folder>", "where results go, as .npy files")
  .option("--json", "one line of JSON")
  .addOption(backend())
  .addOption(isa())
  .action(run);

/** What the commands share that read a photo for any model. */
const withPhoto = (command: Command): Command =>
  command
    .option("--size <224x224>", "height x width, where the model leaves them open")
    .option("--mean <numbers>", "taken off each channel (0 to 255); default 127")
    .option("--std <numbers>", "what each channel is divided by; default 128");

const inspectCommand = program
  .command("inspect")
  .description(
    "How a model runs: every step with shapes, algorithm and multiply-adds; with a photo, a page.",
  )
  .argument("<model>", "an .onnx file")
  .argument("[image]", "a photo to run it on")
  .option("--html <file>", "where the page about model and photo goes")
  .option("--labels <file>", "JSON array of class names, for the page")
  .option(
    "--shape <name=1x3x224x224>",
    "shape of an input with free sizes; repeat for more",
    collect,
    [],
  )
  .option("--raw", "the graph as it stands, not optimised")
  .option("--json", "one line of JSON")
  .action(inspect);
withPhoto(inspectCommand);

withPhoto(
  program
    .command("visualize")
    .description("Records what a model is made of and what it sees of a photo, for TensorBoard.")
    .argument("<model>", "an .onnx file")
    .argument("<image>", "JPEG, PNG or WebP")
    .option("--logdir <folder>", "where the log goes", "runs/visualize")
    .option("--layers <names>", "tensors to show, with commas between; default: all convolutions")
    .option("--labels <file>", "JSON array of class names")
    .option("--json", "one line of JSON"),
).action(visualize);

withPhoto(
  program
    .command("receptive-field")
    .description("What every layer of a model sees of its input: size, stride, padding, offset.")
    .argument("<model>", "an .onnx file")
    .option("--photo <image>", "a photo to look at")
    .option("--unit <layer:y,x>", "one unit's box; without y,x the layer's middle")
    .option("--effective", "how much each pixel matters to the unit, by its gradient")
    .option("--png <file>", "the unit's box drawn on the photo")
    .option("--json", "one line of JSON"),
).action(receptiveFieldCommand);

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    console.error(process.env.XCORR_DEBUG ? error : `xcorr: ${(error as Error).message}`);
    process.exitCode = error instanceof OptionError ? 2 : 1;
  }
}
