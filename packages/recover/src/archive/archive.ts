import { RecoverError } from '../errors.ts';
import type { Instant } from '../format/bytes.ts';
import { readCommitRow } from '../format/row.ts';
import { type Secret, readKeyFile, readReadKeys } from '../format/secret.ts';
import { chooseLine, type KeyringLine } from './choose-line.ts';
import { type Chain, ChainFinder, type Commit, CommitLog, findHead } from './commits.ts';
import { reportBranches } from './branches.ts';
import type { Findings } from './findings.ts';
import { type ArchiveKeys, findKeys } from './keys.ts';
import { findLiveSet, type LiveSet, reportMissing } from './live-set.ts';
import { gatherLoose } from './loose.ts';
import { EntryList, type EntrySource, type KeyRange, lookUp, NameTree, overlay, withPrefix } from './name-map.ts';
import { quietly } from './quietly.ts';
import { RecordReader } from './record-reader.ts';
import { describeRange } from './row-key.ts';
import { Shelf } from './shelf.ts';
import { takeSlotSecret } from './slot-keys.ts';

/** An archive that is open: its map of names at the head, and what opens its records. */
export type Archive = {
  readonly archiveId: Buffer;
  readonly shelf: Shelf;
  readonly reader: RecordReader;
  readonly findings: Findings;
  readonly log: CommitLog;
  /** The proven head; undefined when only loose leaves and commits are left. */
  readonly chain: Chain | undefined;
  /** Number of the newest commit whose rows are taken. */
  readonly headCommit: number;
  readonly map: EntrySource;
  /** Whether parts of the map came from loose leaves, so that a directory's entry may be lost and its rows not. */
  readonly mayHaveOrphans: () => boolean;
  /** Whether the map holds any row of space 3. */
  readonly hasMoves: boolean;
  readonly liveSet: LiveSet | undefined;
  /** Number of the keyring that names the writers; undefined when none holds. */
  readonly keyringNumber: number | undefined;
};

/** What opening needs. `unproven` takes commits behind a gap and, in the end, loose leaves too, over what is proven. */
export type OpenRequest = {
  readonly folder: string;
  readonly secret: Secret;
  readonly unproven: boolean;
  /** How many password slots are tried; 16 where it is left out. */
  readonly passwordTries?: number;
  /** SHA-256 of the keyring to read, in hex, or its beginning; the line that counts where it is left out. */
  readonly keyring?: string;
};

/**
 * Opens an archive from its folder (§14.1 to §14.4). The caller closes `shelf`.
 *
 * @throws everything `findKeys` throws; archive.nothing_readable, archive.needs_feature, folder.not_found
 */
export function openArchive(request: OpenRequest, findings: Findings, onSegment: (count: number) => void): Archive {
  checkSecret(request.secret);
  const shelf = new Shelf(request.folder, findings);
  try {
    for (const count of shelf.takeStock()) onSegment(count);
    const keys = findKeys(shelf, request, findings);
    const line = chooseLine(shelf, keys, { told: request.keyring, findings });
    return assemble({ shelf, keys, line, findings, unproven: request.unproven });
  } catch (error) {
    shelf.close();
    throw error;
  }
}

/** A typing error in the secret is told before an hour of reading, not after it. */
function checkSecret(secret: Secret): void {
  if ('keyFile' in secret) readKeyFile(secret.keyFile);
  else if ('readKeys' in secret) readReadKeys(secret.readKeys);
  else takeSlotSecret(secret);
}

type Parts = {
  readonly shelf: Shelf;
  readonly keys: ArchiveKeys;
  readonly line: KeyringLine;
  readonly findings: Findings;
  readonly unproven: boolean;
};
type Sources = Parts & { readonly reader: RecordReader; readonly log: CommitLog; readonly finder: ChainFinder };

function assemble(parts: Parts): Archive {
  const { shelf, keys, line, findings } = parts;
  const { archiveId } = keys;
  const reader = new RecordReader(shelf, { archiveId, epochKeys: line.epochKeys }, findings);
  const log = new CommitLog(shelf, reader, { keyring: line.last, findings });
  const finder = new ChainFinder(log);
  const sources = { ...parts, reader, log, finder };
  const chain = findHead(log, finder);
  const { map, headCommit } = chooseMap(sources, chain);
  const inLine = lineTest(map, chain);
  reportBranches({ log, finder, chain, inLine }, findings);
  if (chain !== undefined) checkKeyrings(chain, line, findings);
  const liveSet = findLiveSet(shelf, { log, archiveId, inLine }, findings);
  if (liveSet !== undefined) reportMissing(shelf.index, liveSet, findings);
  const [hasMoves] = [...firstOf(map.range(withPrefix(Buffer.of(3))))].map(() => true);
  return {
    archiveId,
    shelf,
    reader,
    findings,
    log,
    chain,
    headCommit,
    map,
    mayHaveOrphans: () => findings.has('state.loose') || findings.has('tree.lost'),
    hasMoves: hasMoves ?? false,
    liveSet,
    keyringNumber: log.keyring?.number,
  };
}

function* firstOf<T>(items: Iterable<T>): Generator<T> {
  for (const item of items) {
    yield item;
    return;
  }
}

function chooseMap(
  sources: Sources,
  chain: Chain | undefined,
): { readonly map: EntrySource; readonly headCommit: number } {
  const newest = sources.log.notes[0]?.number ?? 0;
  if (chain !== undefined) {
    const map = mapOfChain(sources, chain);
    if (!sources.unproven || newest <= chain.head.number) return { map, headCommit: chain.head.number };
  }
  const loose = gatherLoose(sources.shelf, sources.reader, sources.log);
  const newestRow = newestCommitIn(loose);
  if (newestRow === 0) throw new RecoverError('archive.nothing_readable', { commits: sources.log.notes.length });
  const message =
    'what is taken comes from loose leaves and commits: that nothing is missing or mixed in is not proven';
  sources.findings.add({ severity: 'unproven', code: 'state.loose', message });
  const headCommit = Math.max(newestRow, chain?.head.number ?? 0);
  return { map: chain === undefined ? loose : overlay(mapOfChain(sources, chain), loose), headCommit };
}

/** Greatest commit number of any row, commits of space 2 included. */
function newestCommitIn(map: EntrySource): number {
  let newest = 0;
  for (const { key } of map.range({ from: Buffer.of(1), to: Buffer.of(3) })) {
    if (key.length < 9) continue;
    const commit = Number(key.readBigUInt64BE(key.length - 8));
    if (commit <= Number.MAX_SAFE_INTEGER) newest = Math.max(newest, commit);
  }
  return newest;
}

/** The state of a chain (§10): the checkpoint's root, and over it the puts of the commits behind it. */
function mapOfChain(sources: Sources, chain: Chain): EntrySource {
  const puts = new EntryList(chain.later.flatMap((commit) => commit.puts));
  const root = chain.checkpoint?.root;
  if (chain.checkpoint === undefined || root === undefined) return puts;
  let older: EntrySource | undefined;
  const tree = new NameTree(sources.reader, root, (range, error) => {
    reportLostLeaf(sources, range, error);
    older ??= olderMap(sources, chain.checkpoint!);
    return older.range(range);
  });
  return overlay(tree, puts);
}

function reportLostLeaf(sources: Sources, range: KeyRange, error: RecoverError): void {
  sources.findings.add({
    severity: 'unproven',
    code: 'tree.lost',
    message: `a part of the tree of names cannot be read (${error.message}): ${describeRange(range)} are taken from older states, as far as they are there`,
    records: typeof error.details['record'] === 'string' ? [error.details['record']] : [],
  });
}

/** The state before a checkpoint, with the checkpoint's own puts; loose leaves under it where even that has holes. */
function olderMap(sources: Sources, checkpoint: Commit): EntrySource {
  const before = sources.log.find(checkpoint.previousHash);
  const chain =
    before === undefined || before.number !== checkpoint.number - 1 ? undefined : sources.finder.chainOf(before);
  if (chain !== undefined) {
    const message = `commit ${chain.checkpoint?.number ?? 0} and those up to ${chain.head.number} stand in for parts of checkpoint ${checkpoint.number}`;
    sources.findings.add({ severity: 'unproven', code: 'state.older_checkpoint', message });
    return overlay(mapOfChain(sources, chain), new EntryList(checkpoint.puts));
  }
  sources.findings.add({
    severity: 'unproven',
    code: 'state.loose',
    message: 'loose leaves and commits stand in for parts of the tree of names',
  });
  return gatherLoose(sources.shelf, sources.reader, sources.log);
}

/** Whether a commit, by number and hash, is in the line of the head. */
function lineTest(map: EntrySource, chain: Chain | undefined): (commit: number, hash: Buffer) => boolean {
  const byNumber = new Map(
    [chain?.checkpoint, ...(chain?.later ?? [])].map((commit) => [commit?.number, commit?.hash]),
  );
  return (commit, hash) => {
    const known = byNumber.get(commit) ?? commitRow(map, commit)?.hash;
    return known?.equals(hash) === true;
  };
}

/** The row of space 2 for a commit number. */
export function commitRow(
  map: EntrySource,
  commit: number,
): { readonly at: Instant; readonly hash: Buffer } | undefined {
  const key = Buffer.alloc(9);
  key.writeUInt8(2, 0);
  key.writeBigUInt64BE(BigInt(commit), 1);
  const value = lookUp(map, key);
  return value === undefined ? undefined : quietly(() => readCommitRow(value));
}

/** Each commit must name a keyring of the line (§14.3); that the head names an older one than its last is said. */
function checkKeyrings({ head, later }: Chain, { keyrings, last }: KeyringLine, findings: Findings): void {
  const isOfLine = (name: Commit['keyring']) =>
    keyrings.some(({ number, hash }) => number === name.number && hash.equals(name.hash));
  for (const { number, keyring } of later.includes(head) ? later : [...later, head]) {
    if (isOfLine(keyring)) continue;
    const message = `commit ${number} names a keyring ${keyring.number} that is not of the line; ${last === undefined ? 'there is none' : `keyring ${last.number} is used`}`;
    findings.add({ severity: 'unproven', code: 'keyring.not_of_the_line', message });
  }
  if (last === undefined || !isOfLine(head.keyring) || last.hash.equals(head.keyring.hash)) return;
  const message = `the head names keyring ${head.keyring.number}, not the newest one, ${last.number}`;
  findings.add({ severity: 'notice', code: 'keyring.not_the_heads', message });
}
