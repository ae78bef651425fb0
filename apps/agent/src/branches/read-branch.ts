/** Reading a branch from the destination that has it. Its records prove it; nothing is changed. */
import {
  ArchiveState,
  branchChain,
  type BranchChain,
  type BranchLink,
  branchVersions,
  commitChain,
  type CommitName,
  factsOf,
  type KeptCommit,
  loaderOf,
  type LoadRecord,
  millisecondsOf,
  NodeCache,
  openRecordSync,
  type Ordinal,
  ordinalOf,
  writerOf,
  writerOfCommit,
} from '@holdfast/archive';
import { CodedError, isRetryable } from '@holdfast/base';
import type { DeviceArchive } from '../archive/device-archive.ts';
import { isProof } from '../destinations/own-ordinals.ts';
import type { DestinationSession } from '../destinations/destination-place.ts';
import { writersOf } from '../keys/archive-keyring.ts';
import type { FoundBranch, KnownBranch } from './branch-book.ts';
import { branchErrors } from './errors.ts';

const readAtOnce = 32;

/**
 * What a destination has behind the newest commit that it shares with the line; undefined where its head is none that a
 * writer of this archive made, or the way from it down to the line is not whole.
 */
export async function findBranch(
  archive: DeviceArchive,
  session: DestinationSession,
  destinationId: number,
): Promise<FoundBranch | undefined> {
  const chain = session.head && (await chainOf(archive, session, session.head));
  const [first, head] = [chain?.links[0], chain?.links.at(-1)];
  if (!chain || !first || !head) return undefined;
  const times: number[] = [];
  for await (const { facts } of commitsOf(archive, session, [first, head])) times.push(millisecondsOf(facts.time));
  const [firstAtMs = 0, lastAtMs = firstAtMs] = times;
  const found = { destinationId, head, ...(chain.fork && { fork: chain.fork }), firstCommit: first.number };
  return { ...found, firstAtMs, lastAtMs, ...besideLine(archive, chain.fork, first) };
}

/** Which ordinals behind a fork are the line's, and whether the branch has some of those, too. */
function besideLine(archive: DeviceArchive, fork: BranchLink | undefined, first: BranchLink) {
  const lineWriter = writerOfCommit(writersOf(archive.stored), first.number)?.number ?? 0;
  const lineFrom = ordinalOf(lineWriter, 0);
  const isMixed = lineWriter === writerOf(first.ordinal) || hasDataWithin(archive, fork?.ordinal ?? 1, lineFrom);
  return { lineFrom, isMixed };
}

/** Whether a record that the line needs has an ordinal of those that the branch alone should have. */
function hasDataWithin({ index }: DeviceArchive, after: Ordinal, before: Ordinal): boolean {
  for (const { ordinal } of index.dataRecords()) if (ordinal > after && ordinal < before) return true;
  return false;
}

async function chainOf(
  archive: DeviceArchive,
  session: DestinationSession,
  head: CommitName,
): Promise<BranchChain | undefined> {
  const isGenuine = (record: Uint8Array) => isProof(record, archive);
  const isOfLine = async ({ number, sha256 }: CommitName) => (await archive.commitHash(number)) === sha256;
  return branchChain(session, head, { isGenuine, isOfLine }).catch((error: unknown) => {
    if (!(error instanceof CodedError) || isRetryable(error)) throw error;
    return undefined;
  });
}

/** A branch that was found before, open for reading. */
export type OpenBranch = {
  /** Its own newest state. */
  readonly state: ArchiveState;
  readonly load: LoadRecord;
  readonly versions: () => ReturnType<typeof branchVersions>;
  readonly rawOf: (ordinal: Ordinal) => Promise<Uint8Array | undefined>;
};

/** Opens a branch where it lies. @throws branches.unreadable, and what reading throws that is worth trying again */
export async function openBranch(
  archive: DeviceArchive,
  session: DestinationSession,
  known: KnownBranch,
): Promise<OpenBranch> {
  try {
    const isGenuine = (record: Uint8Array) => isProof(record, archive);
    const isOfLine = async ({ sha256 }: CommitName) => sha256 === known.fork?.sha256;
    const { links } = await branchChain(session, known.head, { isGenuine, isOfLine });
    const load = loaderOf((ordinals) => session.read(ordinals), archive.openKeys);
    const state = await stateAt(archive, session, { head: known.head, load });
    const versions = () => branchVersions(state, factsIn(commitsOf(archive, session, links)));
    return { state, load, versions, rawOf: (ordinal) => rawOf(archive, session, ordinal) };
  } catch (error) {
    if (!(error instanceof CodedError) || isRetryable(error)) throw error;
    throw branchErrors.unreadable({ branch: known.branch, destination: session.name }, error);
  }
}

async function stateAt(
  archive: DeviceArchive,
  session: DestinationSession,
  { head, load }: { readonly head: KnownBranch['head']; readonly load: LoadRecord },
): Promise<ArchiveState> {
  const { openKeys } = archive;
  for await (const { commit } of commitsOf(archive, session, [head])) {
    const [first, ...rest] = (await commitChain(session, commit)).map(({ record }) => factsOf(record, openKeys));
    if (!first) break;
    const { root } = first;
    const state = new ArchiveState(new NodeCache(load), root && { checkpoint: first, root });
    for (const facts of root ? rest : [first, ...rest]) state.apply(facts);
    return state;
  }
  throw branchErrors.unreadable({ destination: session.name });
}

type ReadCommit = { readonly commit: KeptCommit; readonly facts: ReturnType<typeof factsOf> };

/** Commits by their names, in that order. @throws branches.unreadable where one is not there as it is named */
async function* commitsOf(
  { openKeys }: DeviceArchive,
  session: DestinationSession,
  links: readonly KnownBranch['head'][],
): AsyncGenerator<ReadCommit> {
  for (let at = 0; at < links.length; at += readAtOnce) {
    const batch = links.slice(at, at + readAtOnce);
    const found = new Map<string, ReadCommit>();
    for await (const bytes of session.read([...new Set(batch.map(({ ordinal }) => ordinal))])) {
      const record = bytes.slice();
      const facts = factsOf(record, openKeys);
      const { number, sha256 } = facts;
      found.set(Buffer.from(sha256).toString('hex'), { commit: { number, sha256, record }, facts });
    }
    for (const { sha256, number } of batch) {
      const commit = found.get(sha256);
      if (!commit) throw branchErrors.unreadable({ destination: session.name, commit: number });
      yield commit;
    }
  }
}

async function* factsIn(commits: AsyncIterable<ReadCommit>): AsyncGenerator<ReadCommit['facts']> {
  for await (const { facts } of commits) yield facts;
}

async function rawOf(
  { openKeys }: DeviceArchive,
  session: DestinationSession,
  ordinal: Ordinal,
): Promise<Uint8Array | undefined> {
  for await (const record of session.read([ordinal])) {
    try {
      return openRecordSync(record, openKeys).raw;
    } catch (error) {
      // It is altered there.
      if (!(error instanceof CodedError)) throw error;
    }
  }
  return undefined;
}
