/** Work on what the archive has already, which a backup does before it looks at files. */
import { BlockLookup, type OwnedRecords } from '../index/block-table.ts';
import { deriveKeyRing } from '../format/keys.node.ts';
import { readState } from '../index/read-state.ts';
import type { BackupRequest, Chores } from './backup-request.ts';
import { type ClosedPast, closePast } from './close-past.ts';
import type { CommitWriter } from './commit-writer.ts';
import { ContentStore } from './content-store.ts';
import type { Destination } from './destination.ts';
import { LocalPieces } from './local-pieces.ts';
import type { RecordSealer } from './record-sealer.ts';
import { type Resealed, resealStretch } from './reseal.ts';
import type { Routes } from './routes.ts';
import { Selection } from './selection.ts';
import { storeAgain, type StoredAgain } from './store-again.ts';
import { takeIn, type TakenIn } from './take-in.ts';

/** What the main thread's own records are made and sent with. */
export type ChorePorts = {
  readonly sealer: RecordSealer;
  readonly flush: () => void;
  /** Waits until the main thread may hand over more. */
  readonly room: () => Promise<void>;
  /** The same, with ordinals for it. */
  readonly leasedRoom: () => Promise<void>;
  readonly routes: Routes;
  readonly commits: CommitWriter;
  readonly destinations: () => readonly Destination[];
  readonly afterCommit: () => Promise<void>;
  readonly spread: (owned: readonly OwnedRecords[]) => Promise<void>;
};

/** Does what the request asks for besides looking at files, in the order in which it counts. */
export async function doChores(request: BackupRequest, ports: ChorePorts): Promise<Chores> {
  const storedAgain = await storeLostAgain(request, ports);
  const takenIn = await takeBranchIn(request, ports);
  const resealed = await reseal(request, ports);
  const closedPast = await closeWhatIsResealed(request, ports);
  return {
    ...(storedAgain && { storedAgain }),
    ...(takenIn && { takenIn }),
    ...(resealed && { resealed }),
    ...(closedPast && { closedPast }),
  };
}

function keysOf({ keys: { archiveId, ring } }: BackupRequest) {
  return { archiveId, ring: deriveKeyRing(archiveId, ring.epochs) };
}

function ownPorts({ sealer, flush, leasedRoom, routes, commits, afterCommit }: ChorePorts) {
  return { own: sealer, flushOwn: flush, room: leasedRoom, routes, commits, afterCommit };
}

async function storeLostAgain(request: BackupRequest, ports: ChorePorts): Promise<StoredAgain | undefined> {
  const { lost, index, source, sets, never, load, signal } = request;
  if (!lost || lost.ordinals.size === 0) return undefined;
  const local = new LocalPieces(index, source, new Selection(sets, never).roots());
  return storeAgain(lost, { index, local, ...ownPorts(ports), load, signal });
}

async function takeBranchIn(request: BackupRequest, ports: ChorePorts): Promise<TakenIn | undefined> {
  const { branch, index, keys, load, signal } = request;
  if (!branch) return undefined;
  const known = new BlockLookup(index.path);
  try {
    const { routes, ...own } = ownPorts(ports);
    return await takeIn(branch, {
      ...own,
      content: new ContentStore(ports.sealer, known, routes),
      spread: ports.spread,
      state: () => readState(index, keysOf(request), load),
      newDirectory: () => keys.writerNumber * 2 ** 32 + index.lease('directories', 1) + 1,
      signal,
    });
  } finally {
    known.close();
  }
}

async function reseal(request: BackupRequest, ports: ChorePorts): Promise<Resealed | undefined> {
  const { reseal: stretch, index, load, clock, signal } = request;
  if (!stretch) return undefined;
  return resealStretch(stretch, {
    index,
    ...ownPorts(ports),
    load,
    keys: keysOf(request),
    destinations: ports.destinations,
    monotonicMs: () => clock.monotonic(),
    signal,
  });
}

async function closeWhatIsResealed(request: BackupRequest, ports: ChorePorts): Promise<ClosedPast | undefined> {
  const { closePast: wanted, index, load, clock, signal } = request;
  if (!wanted) return undefined;
  const { sealer, flush, leasedRoom, commits } = ports;
  return closePast(wanted, {
    index,
    sealer,
    room: leasedRoom,
    flush,
    commits,
    load,
    sendLive: (open) => commits.sendLive(open),
    nowMs: clock.now(),
    signal,
  });
}
