/** Entry of the thread that reads segments to be sealed. */
import { parentPort } from 'node:worker_threads';
import { readBodyFacts } from './body-facts.ts';
import type { BodyAnswer, BodyJob } from './body-thread-pool.ts';
import { systemErrorCode, withFile } from './disk.ts';
import { nodeDisk } from './node-disk.ts';

parentPort?.on('message', (job: BodyJob) => {
  // What is handed over is no garbage here: a thread that allocates little collects it late.
  void answer(job).then((reply) => {
    const handedOver = 'facts' in reply ? [reply.facts.parity.buffer, reply.facts.bodySectors.buffer] : [];
    parentPort?.postMessage(reply, handedOver as ArrayBuffer[]);
  });
});

async function answer({ job, path, facts }: BodyJob): Promise<BodyAnswer> {
  try {
    return { job, facts: await withFile(nodeDisk, path, 'read', (file) => readBodyFacts(file, ...facts)) };
  } catch (error) {
    return { job, message: error instanceof Error ? error.message : String(error), code: systemErrorCode(error) };
  }
}
