// A process that keeps a shared window as busy as it can, until the server has seen enough (status 410).
import { creditLimiter } from 'fintrack-pipelines';
import { connectDatabase, postgresWindow } from 'fintrack-pipelines/postgres';

const { connection, options, weight, callTimeoutMs, baseUrl, number } = JSON.parse(process.argv[2]);
const { credits, windowMs } = options;
const database = connectDatabase(connection);
const window = postgresWindow({ database, ...options });
const limiter = creditLimiter({ credits, windowMs, window, callTimeoutMs });

async function work() {
  const { signal } = new AbortController();
  const call = async (grant) => (await fetch(`${baseUrl}/${number}/${grant.credits}`)).status;
  for (let status = 200; status === 200;) {
    try {
      status = await limiter.run({ credits: weight, min: 1 }, call, { signal });
    } catch (error) {
      // What still waits when the limiter is stopped; a database that is slow to answer is asked again.
      if (error.code === 'canceled') break;
      if (!error.retryable) throw error;
    }
  }
  await limiter.stop();
}

await Promise.all([work(), work(), work()]);
await database.close();
