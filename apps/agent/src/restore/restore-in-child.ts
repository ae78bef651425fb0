/**
 * For tests, as a process of its own: carries out a plan from records in a file, to be killed at any moment.
 * Arguments: a JSON file that says where everything is; a user to become, once everything is loaded. Writes a line for each
 * record it fetches, the report, and `done` at the end.
 */
import { readFileSync, writeSync } from 'node:fs';
import {
  deriveKeyRing,
  executeRestore,
  executeRestoreBy,
  parseRecordHeader,
  recordLengthOf,
  RestorePlan,
  type RestorePolicy,
  type RestoreReply,
  RestoreWorker,
  type RestoreWriter,
} from '@holdfast/archive';
import { openDirectory } from '../filesystem/index.ts';
import { createLinuxTarget, startRestoreWorker } from './index.ts';

/** What the parent process writes. */
export type ChildRestore = {
  readonly planPath: string;
  readonly target: string;
  readonly recordsPath: string;
  readonly archiveId: string;
  readonly epochs: readonly { readonly number: number; readonly key: string }[];
  readonly sync: 'file' | 'batch' | 'end';
};

const job = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as ChildRestore;
const archiveId = Uint8Array.fromHex(job.archiveId);
const epochs = job.epochs.map(({ number, key }) => ({ number, key: Uint8Array.fromHex(key) }));
const records = new Map<number, Uint8Array>();
const bytes = readFileSync(job.recordsPath);
for (let at = 0; at < bytes.length;) {
  const header = parseRecordHeader(bytes, at);
  records.set(header.ordinal, bytes.subarray(at, at + recordLengthOf(header)));
  at += recordLengthOf(header);
}

const rootFd = openDirectory(job.target);
const user = process.argv[3];
if (user !== undefined) {
  process.setgroups!([]);
  process.setgid!(Number(user));
  process.setuid!(Number(user));
}

async function* read(ordinals: readonly number[]) {
  for (const ordinal of ordinals) {
    const record = records.get(ordinal);
    if (record === undefined) continue;
    writeSync(1, `${ordinal} ${record.length}\n`);
    yield record;
    // Lets answers of workers in between, as a network would.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Writes in this thread: a new one could not load its code when only root may read it. */
function writerHere(policy: RestorePolicy): RestoreWriter {
  const worker = new RestoreWorker({ rootFd, policy }, createLinuxTarget());
  let tell: (reply: RestoreReply) => void = () => undefined;
  return {
    listen: (onReply) => void (tell = onReply),
    post: (work) => void setImmediate(() => tell(worker.serve(work))),
    close: async () => worker.close(),
  };
}

const { plan } = RestorePlan.open(job.planPath, 'a test');
const policy = { onConflict: 'rename', setuid: true, owners: 'recorded', sync: job.sync } as const;
const sources = {
  destinations: [{ name: 'file', append: () => Promise.reject(new Error('a restore does not append')), read }],
  keys: { archiveId, ring: deriveKeyRing(archiveId, epochs) },
  ...policy,
};
const report =
  user === undefined
    ? await executeRestore(plan, { ...sources, rootFd, startWorker: startRestoreWorker, workers: 2 })
    : await executeRestoreBy([writerHere(policy)], plan, sources);
plan.close();
writeSync(1, `report ${JSON.stringify(report)}\n`);
writeSync(1, `done ${report.restored} ${report.failedCount} ${report.renamedCount}\n`);
