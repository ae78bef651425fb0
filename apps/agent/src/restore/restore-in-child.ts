/**
 * For tests, as a process of its own: carries out a plan from records in a file, to be killed at any moment.
 * Arguments: a JSON file that says where everything is; a user to become, once everything is loaded. Writes a line for each
 * record it fetches, the report, and `done` at the end.
 */
import { readFileSync, writeSync } from 'node:fs';
import { deriveKeyRing, executeRestore, parseRecordHeader, recordLengthOf, RestorePlan } from '@holdfast/archive';
import { openDirectory } from '../filesystem/index.ts';
import { startRestoreWorker } from './index.ts';

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

const { plan } = RestorePlan.open(job.planPath, 'a test');
const report = await executeRestore(plan, {
  rootFd,
  destinations: [{ name: 'file', append: () => Promise.reject(new Error('a restore does not append')), read }],
  keys: { archiveId, ring: deriveKeyRing(archiveId, epochs) },
  startWorker: startRestoreWorker,
  workers: 2,
  onConflict: 'rename',
  setuid: true,
  owners: 'recorded',
  sync: job.sync,
});
plan.close();
writeSync(1, `report ${JSON.stringify(report)}\n`);
writeSync(1, `done ${report.restored} ${report.failedCount} ${report.renamedCount}\n`);
