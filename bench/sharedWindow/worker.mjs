// A process that keeps a shared window as busy as it can, until the server has seen enough (status 410).
import { creditLimiter } from 'fintrack-pipelines';
import { connectDatabase, postgresWindow } from 'fintrack-pipelines/postgres';

const { connection, options, callTimeoutMs, baseUrl, number } = JSON.parse(process.argv[2]);
const { credits, windowMs } = options;
const database = connectDatabase(connection);
const window = postgresWindow({ database, ...options });
const limiter = creditLimiter({ credits, windowMs, window, callTimeoutMs });

async function work() {
  const { signal } = new AbortController();
  const call = async (grant) => (await fetch(`${baseUrl}/${number}/${grant.credits}`)).status;
  try {
    while ((await limiter.run({ credits: 3, min: 1 }, call, { signal })) === 200);
  } catch (error) {
    // What still waits when the limiter is stopped.
    if (error.code !== 'canceled') throw error;
  }
  await limiter.stop();
}

await Promise.all([work(), work(), work()]);
await database.close();
