// One engine in a process of its own: worker.js <module of the engine> <variant> <threads>. Asked by run.js, one message at a time:
//
//   { load: { model, inputs } }  ->  { outputs, ms: the time of the second run }
//   { time: seconds }            ->  { median, min } of the runs that fit, in milliseconds
//
// An engine is a module with open({ threads, variant }) -> { version, load({ model, inputs }) -> { run, read, close } }. run() gives results in
// JavaScript's memory; read() turns them into Float32Arrays by name, outside of the time taken.
const [module, variant, threads] = process.argv.slice(2);
const WARM_UP_MS = 100;

let engine;
let loaded;

async function timed() {
  const before = performance.now();
  const result = await loaded.run();
  return { ms: performance.now() - before, result };
}

const answers = {
  async open() {
    const { open } = await import(module);
    engine = await open({ threads: Number(threads), variant: variant || undefined });
    return { version: engine.version };
  },
  async load(one) {
    await loaded?.close();
    loaded = undefined;
    loaded = await engine.load(one);
    const { result } = await timed(); // makes plans and packs weights, too
    const outputs = loaded.read(result);
    return { outputs, ms: (await timed()).ms };
  },
  async time(seconds) {
    const times = [];
    for (let spent = 0; spent < WARM_UP_MS; ) spent += (await timed()).ms;
    for (let spent = 0; spent < seconds * 1000 || times.length < 3; spent += times.at(-1))
      times.push((await timed()).ms);
    times.sort((a, b) => a - b);
    return { median: times[times.length >> 1], min: times[0] };
  },
};

process.on("message", async ([question, argument]) => {
  try {
    process.send(await answers[question](argument));
  } catch (error) {
    process.send({
      error: error.message.split("\n")[0],
      missing: error.code === "MODULE_NOT_FOUND",
    });
  }
});
