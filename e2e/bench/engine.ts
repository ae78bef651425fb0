/**
 * One step of a measurement as a process of its own: `engine.ts first|again|restore STATE SOURCE folder|server`.
 *
 * The archive lies in a folder destination, with everything that makes an acknowledgement true: fsync, index, parity; or on
 * the server of the token that `engine.ts enroll STATE TOKEN` was given before.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { deserialize, serialize } from 'node:v8';
import type { DestinationPlace } from '@holdfast/agent';
import {
  closeDescriptor,
  createLinuxSource,
  folderPlace,
  openDirectory,
  prepareFolder,
  sendKeyRecords,
  startBackupWorker,
  startRestoreWorker,
} from '@holdfast/agent/engine/bench';
import {
  type ArchiveKeys,
  createArchive,
  createContentLoader,
  deriveKeyRing,
  executeRestore,
  loaderOf,
  LocalIndex,
  planRestore,
  readState,
  RestorePlan,
  runBackup,
} from '@holdfast/archive';
import { systemClock, systemRandom } from '@holdfast/base';

type Kept = { readonly keys: ArchiveKeys; readonly records: readonly Uint8Array[] };

const [step, state = '', source = '', place] = process.argv.slice(2);
mkdirSync(path.join(state, 'destination'), { recursive: true });
if (step === 'enroll') {
  const { enroll, EnrollmentStore } = await import('@holdfast/agent/cloud');
  const about = { hostname: 'measured', os: process.platform, agentVersion: '0.1.0', tokenText: source };
  await enroll(about, new EnrollmentStore(state));
  process.exit();
}
const { keys, records } = openKeys();
const { index } = LocalIndex.open(path.join(state, 'index.db'));
if (!existsSync(path.join(state, 'begun'))) {
  index.lease('ordinals', records.length);
  writeFileSync(path.join(state, 'begun'), '');
}
const openKeysOf = { archiveId: keys.archiveId, ring: deriveKeyRing(keys.archiveId, keys.ring.epochs) };
const head = index.head();
const facts = {
  archiveId: keys.archiveId,
  known: head.number === 0 ? undefined : { number: head.number, sha256: Buffer.from(head.sha256).toString('hex') },
  keyRecords: records,
};
const session = place === 'server' ? await openServer() : await openFolder();
await sendKeyRecords(session, records);
const load = loaderOf((ordinals) => session.read(ordinals), openKeysOf);

if (step === 'restore') await restore(source);
else await backup(source);
await session.close();
index.close();

async function openServer() {
  // Loaded here, so that a measurement of a folder does not carry it.
  const { CloudClient, cloudPlace, EnrollmentStore } = await import('@holdfast/agent/cloud');
  const client = new CloudClient(new EnrollmentStore(state).load()!);
  return openPlace(cloudPlace({ destinationId: 1, name: 'server', kind: 'cloud' }, client));
}

async function openFolder() {
  const folder = path.join(state, 'destination');
  await prepareFolder(folder, keys.archiveId);
  return openPlace(folderPlace({ destinationId: 1, name: 'folder', kind: 'folder', folder }));
}

function openPlace(at: DestinationPlace) {
  const { signal } = new AbortController();
  return at.open({ ...facts, clock: systemClock, random: systemRandom, signal });
}

async function backup(include: string): Promise<void> {
  const report = await runBackup({
    index,
    keys,
    destinations: [session],
    source: createLinuxSource(),
    sets: [{ number: 1, name: 'measured', includes: [include], excludes: [] }],
    never: [],
    startWorker: startBackupWorker,
    workers: 2,
    load,
    clock: systemClock,
  });
  if (report.problems.length > 0) throw new Error(JSON.stringify(report.problems[0]));
}

async function restore(include: string): Promise<void> {
  const target = path.join(state, 'restored');
  mkdirSync(target);
  const reader = readState(index, openKeysOf, load);
  const { plan } = RestorePlan.open(path.join(state, 'plan.db'), 'measured');
  const loader = createContentLoader([session], openKeysOf);
  const tools = { reader, loader, createSha256: () => createHash('sha256') };
  const paths = [Buffer.from(include)];
  await planRestore(tools, { paths, commit: reader.head, deleted: false, layout: 'contents' }, plan);
  plan.complete();
  const rootFd = openDirectory(target);
  const report = await executeRestore(plan, {
    rootFd,
    destinations: [session],
    keys: openKeysOf,
    startWorker: startRestoreWorker,
    workers: 2,
    onConflict: 'rename',
    setuid: true,
    owners: 'recorded',
    sync: 'end',
  });
  closeDescriptor(rootFd);
  plan.close();
  if (report.problems.length > 0) throw new Error(JSON.stringify(report.problems[0]));
}

function openKeys(): Kept {
  const file = path.join(state, 'keys');
  if (existsSync(file)) return deserialize(readFileSync(file)) as Kept;
  const { keys: made, header, keyring } = createArchive(systemClock, () => []);
  const kept = { keys: made, records: [header, keyring] };
  writeFileSync(file, serialize(kept), { mode: 0o600 });
  return kept;
}
