import { CodedError } from '@holdfast/base';
import { archiveErrors, corrupt } from '../errors.ts';
import { parseCommitOpen, parseCommitSealed } from '../format/commit.ts';
import { equalBytes, joinBytes } from '../format/cursor.ts';
import type { Reference } from '../format/extent.ts';
import { type Writer, writerOfCommit } from '../format/keyring.ts';
import { isRecordSigned, openRecord, type RecordOpeners, sha256Of } from '../format/open.ts';
import { type Ordinal, writerOf } from '../format/ordinal.ts';
import { RecordKind, splitRecord } from '../format/record.ts';
import { type CommitCandidate, findHead } from './find-head.ts';
import { findHeader, findKeyring, type FoundKeyring } from './find-keyring.ts';
import { noteProblem } from './note-problem.ts';
import type { ReadAccess, ReadChoice, ReadProblem, ReadTools, RecordSource } from './record-source.ts';
import { StreamReader } from './stream-reader.ts';
import { ArchiveState, type CommitFacts } from './state.ts';
import { NodeCache } from './tree-reader.ts';

/** An archive that was opened for reading, at its head. */
export type OpenedArchive = {
  readonly archiveId: Uint8Array;
  readonly keyring: FoundKeyring['keyring'];
  /** The newest commit: its number, the ordinal and SHA-256 of its record, and its own time. */
  readonly head: CommitFacts & { readonly ordinal: Ordinal };
  readonly state: ArchiveState;
  readonly streams: StreamReader;
  /** Commits of listed writers that the head's line does not reach. */
  readonly branches: readonly CommitCandidate[];
  /** Where several lives of the archive part: each can be read by the keyring in which its line ends. */
  readonly forks: FoundKeyring['forks'];
  readonly problems: readonly ReadProblem[];
};

/** Features of commits that this version can read with. */
const knownFeatures: ReadonlySet<string> = new Set();

type Context = {
  readonly source: RecordSource;
  readonly tools: ReadTools;
  readonly problems: ReadProblem[];
};

/**
 * Opens an archive from its records alone: header, keyring, commits, head, newest checkpoint and what came after it.
 *
 * Nothing is taken on the source's word. Runs in a browser.
 * @throws archive.no_archive, archive.no_keyring, archive.no_head, archive.unknown_format, archive.unknown_feature
 */
export async function openArchive(
  source: RecordSource,
  access: ReadAccess,
  tools: ReadTools,
  choice: ReadChoice = {},
): Promise<OpenedArchive> {
  const context: Context = { source, tools, problems: [] };
  const found = await findHeader(source, tools, context.problems);
  const keys = await findKeyring(source, found, { access, tools, choice, problems: context.problems });
  const candidates = await candidatesOf(context, found.archiveId, keys.keyring.writers);
  const load = (reference: Reference) => loadRaw(context, keys.openers, reference);
  const { line, state, head } = await readLine(context, keys, { candidates, load });
  const branches = await branchesIn(line.others, state);
  const { problems } = context;
  const streams = new StreamReader(state, {
    load,
    readRaw: (ordinal) => readRaw(context, keys.openers, ordinal),
    tools,
  });
  const { keyring, forks } = keys;
  return { archiveId: found.archiveId, keyring, head, state, streams, branches, forks, problems };
}

async function candidatesOf(
  { source, tools, problems }: Context,
  archiveId: Uint8Array,
  writers: readonly Writer[],
): Promise<CommitCandidate[]> {
  const candidates: CommitCandidate[] = [];
  const seen = new Set<Ordinal>();
  for await (const ordinal of source.ordinalsOf(RecordKind.commit)) {
    const bytes = seen.has(ordinal) ? undefined : await source.read(ordinal);
    seen.add(ordinal);
    if (bytes === undefined) continue;
    const writer = writers.find(({ number }) => number === writerOf(ordinal));
    try {
      const isSigned = await isRecordSigned(bytes, archiveId, async (message, mark) => {
        return writer !== undefined && tools.verify(joinBytes(writer.publicKey), message, mark);
      });
      if (!isSigned) throw archiveErrors.bad_signature({ ordinal });
      const parts = splitRecord(bytes);
      const { number, previous, checkpoint } = parseCommitOpen(parts.open);
      const isRightful = writerOfCommit(writers, number) === writer;
      const facts = { ordinal, number, previous, checkpoint, isRightful, epoch: parts.header.epoch };
      candidates.push({ ...facts, sha256: await sha256Of(bytes) });
    } catch (cause) {
      noteProblem(problems, {
        problem: 'a commit cannot be read or is not signed by a writer of this archive',
        ordinal,
        cause,
      });
    }
  }
  return candidates;
}

async function openCommit({ source, tools }: Context, openers: RecordOpeners, candidate: CommitCandidate) {
  const bytes = await source.read(candidate.ordinal);
  if (bytes === undefined) throw archiveErrors.record_missing({ ordinal: candidate.ordinal });
  if (!equalBytes(await sha256Of(bytes), candidate.sha256)) throw corrupt('commit: the record became another one');
  const { open, raw } = await openRecord(bytes, openers, tools);
  const unknown = parseCommitOpen(open).readFeatures.filter((feature) => !knownFeatures.has(feature));
  if (unknown.length > 0) throw archiveErrors.unknown_feature({ features: unknown });
  return parseCommitSealed(raw);
}

type Lines = {
  readonly candidates: readonly CommitCandidate[];
  readonly load: (reference: Reference) => Promise<Uint8Array>;
};

/** The newest line of commits that opens as a whole: one that does not open is as one that is not there. */
async function readLine(context: Context, keys: FoundKeyring, { candidates, load }: Lines) {
  const { problems } = context;
  let failure: unknown;
  const broken = new Set<CommitCandidate>();
  const giveUp = (candidate: CommitCandidate, cause: unknown): void => {
    failure ??= cause;
    noteProblem(problems, { problem: `commit ${candidate.number} does not open`, ordinal: candidate.ordinal, cause });
    broken.add(candidate);
  };
  const isLocked = ({ epoch }: CommitCandidate) => keys.openers.openerOf(RecordKind.commit, epoch) === undefined;
  for (const candidate of candidates.filter(isLocked)) {
    giveUp(candidate, archiveErrors.key_missing({ ordinal: candidate.ordinal, epoch: candidate.epoch }));
  }
  for (;;) {
    const usable = candidates.filter((candidate) => !broken.has(candidate));
    const line = await findHead(usable, async (candidate) => {
      return (await openCommit(context, keys.openers, candidate).catch(() => undefined))?.time;
    });
    if (line === undefined) throw failure ?? archiveErrors.no_head({ commits: candidates.length });
    const opened = await openLine(context, keys, line.chain);
    if (opened.status === 'opened') {
      noteKeyring(context, keys, opened.keyring);
      return { line, ...stateOf(opened.facts, load) };
    }
    giveUp(opened.candidate, opened.failure);
  }
}

/** The commits of a line, opened; or the first that does not open. @throws what is not the fault of a record */
async function openLine(context: Context, keys: FoundKeyring, chain: readonly CommitCandidate[]) {
  const facts: LineCommit[] = [];
  let keyring = { number: keys.keyring.number, sha256: keys.sha256 };
  for (const candidate of chain) {
    const { number, sha256, ordinal, checkpoint } = candidate;
    try {
      const sealed = await openCommit(context, keys.openers, candidate);
      const { time, corrections, puts, root } = sealed;
      if ((root === undefined) === (checkpoint === number)) throw corrupt('commit: root and checkpoint disagree');
      facts.push({ number, sha256, ordinal, time, corrections, puts, ...(root && { root }) });
      keyring = sealed.keyring;
    } catch (failure) {
      if (!isFaultOfRecord(failure)) throw failure;
      return { status: 'broken', candidate, failure } as const;
    }
  }
  return { status: 'opened', facts, keyring } as const;
}

type LineCommit = OpenedArchive['head'] & { readonly root?: Reference };

function isFaultOfRecord(error: unknown): boolean {
  // What a later version must understand ends the reading: an older state in its place would pass for the newest.
  if (!(error instanceof CodedError) || error.code.startsWith('archive.unknown_')) return false;
  return error.kind === 'corrupt' || error.code === 'archive.key_missing' || error.code === 'archive.record_missing';
}

function stateOf(line: readonly LineCommit[], load: Lines['load']) {
  const cache = new NodeCache(load);
  const [first] = line;
  const head = line.at(-1);
  if (first === undefined || head === undefined) throw archiveErrors.no_head();
  const { root } = first;
  const state = new ArchiveState(cache, root && { checkpoint: first, root });
  for (const commit of line.slice(root === undefined ? 0 : 1)) state.apply(commit);
  return { state, head };
}

/** The head names the newest keyring there was: another one in hand is said. */
function noteKeyring({ problems }: Context, keys: FoundKeyring, named: { number: number; sha256: Uint8Array }): void {
  if (keys.line.some((sha256) => equalBytes(sha256, named.sha256))) return;
  if (named.number > keys.keyring.number) noteProblem(problems, { problem: `keyring ${named.number} is missing` });
  else noteProblem(problems, { problem: `keyring ${named.number} is not the one that the head names` });
}

async function branchesIn(others: readonly CommitCandidate[], state: ArchiveState): Promise<CommitCandidate[]> {
  const known = new Set<string>();
  if (others.length > 0) for await (const { sha256 } of state.commits()) known.add(sha256.toHex());
  return others.filter(({ sha256 }) => !known.has(sha256.toHex()));
}

async function readRaw({ source, tools }: Context, openers: RecordOpeners, ordinal: Ordinal): Promise<Uint8Array> {
  const bytes = await source.read(ordinal);
  if (bytes === undefined) throw archiveErrors.record_missing({ ordinal });
  const { header, raw } = await openRecord(bytes, openers, tools);
  if (header.ordinal !== ordinal) throw corrupt('record: another one came in its place');
  return raw;
}

async function loadRaw(context: Context, openers: RecordOpeners, reference: Reference): Promise<Uint8Array> {
  const raw = await readRaw(context, openers, reference.ordinal);
  if (!equalBytes(await sha256Of(raw), reference.sha256)) throw corrupt('reference: its record holds other bytes');
  return raw;
}
