/** One contestant in one process: `node run.mjs <name> <count>` prints its CPU time and its greatest memory as JSON. */
const [name, count] = [process.argv[2], Number(process.argv[3])];
const { [name]: contestant } = await import(`./${name}.mjs`);

const before = process.cpuUsage();
const delivered = await contestant(count);
const { user, system } = process.cpuUsage(before);

if (delivered !== count * 0.9) throw new Error(`${name} delivered ${delivered} of ${count * 0.9} items`);
console.log(
  JSON.stringify({
    nanosecondsPerItem: ((user + system) * 1_000) / count,
    megabytes: process.resourceUsage().maxRSS / 1_024,
  }),
);
