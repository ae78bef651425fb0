import { RecoverError } from '../errors.ts';
import { compareInstants, nameOrdinal, type Ordinal, writerOf } from '../format/bytes.ts';
import { type CommitOpen, type CommitSealed, readCommitOpen, readCommitSealed } from '../format/commit.ts';
import { type Keyring, rightfulWriter, type Writer } from '../format/keyring.ts';
import { kinds, type RecordFrame, recordIsVerified } from '../format/record.ts';
import { sha256, verifierOf } from '../format/sealing.ts';
import type { Findings } from './findings.ts';
import { quietly } from './quietly.ts';
import type { IndexedPlace } from './place-index.ts';
import type { RecordReader } from './record-reader.ts';
import type { Shelf } from './shelf.ts';

/** A commit record that a writer of the keyring signed: its open part and where it lies. */
export type CommitNote = CommitOpen & {
  readonly hash: Buffer;
  readonly ordinal: Ordinal;
  readonly place: IndexedPlace;
};

/** A commit whose signature holds and whose sealed part is open. */
export type Commit = CommitNote & CommitSealed;

/** Why a commit does not count. */
export type Refusal = 'unreadable' | 'locked' | 'wrong_writer';

/** The commits of an archive, looked up by number and by hash; sealed parts are opened when they are asked for. */
export class CommitLog {
  readonly notes: readonly CommitNote[];
  readonly keyring: Keyring | undefined;
  readonly #byHash: ReadonlyMap<string, CommitNote>;
  readonly #shelf: Shelf;
  readonly #reader: RecordReader;

  /** `keyring` is the last of the line: its writers count. */
  constructor(
    shelf: Shelf,
    reader: RecordReader,
    found: { readonly keyring: Keyring | undefined; readonly findings: Findings },
  ) {
    this.#shelf = shelf;
    this.#reader = reader;
    this.keyring = found.keyring;
    this.#byHash = gatherNotes(shelf, signatureTest(reader.archiveId, this.keyring), found.findings);
    this.notes = [...this.#byHash.values()].sort((a, b) => b.number - a.number || Buffer.compare(a.hash, b.hash));
  }

  find(hash: Buffer): CommitNote | undefined {
    return this.#byHash.get(hash.toString('latin1'));
  }

  /** The commit behind a note, if its writer may sign that number; else why it does not count. */
  open(note: CommitNote): Commit | Refusal {
    const frame = this.#shelf.read(note.place);
    if (frame === undefined || !sha256(frame.whole).equals(note.hash)) return 'unreadable';
    const rightful = this.rightfulWriter(note.number);
    if (this.keyring !== undefined && rightful?.number !== writerOf(note.ordinal)) return 'wrong_writer';
    const raw = this.#reader.open(frame);
    if (raw === 'locked') return 'locked';
    const sealed = raw === undefined ? undefined : quietly(() => readCommitSealed(raw.bytes));
    return sealed === undefined ? 'unreadable' : { ...note, ...sealed };
  }

  /** The writer a commit number belongs to (§5); undefined without a keyring. */
  rightfulWriter(commitNumber: number): Writer | undefined {
    return rightfulWriter(this.keyring?.writers ?? [], commitNumber);
  }
}

/** Whether a writer of the keyring signed a record; without a keyring nothing can be asked. */
type SignatureTest = (ordinal: Ordinal, frame: RecordFrame) => boolean;

function signatureTest(archiveId: Buffer, keyring: Keyring | undefined): SignatureTest {
  if (keyring === undefined) return () => true;
  const verifiers = new Map(keyring.writers.map(({ number, publicKey }) => [number, verifierOf(publicKey)]));
  return (ordinal, frame) => {
    const verifier = verifiers.get(writerOf(ordinal));
    return verifier !== undefined && recordIsVerified(archiveId, frame, verifier);
  };
}

/** The commits that are there. What no writer of the keyring signed is counted and let go: anybody can make many. */
function gatherNotes(shelf: Shelf, isSigned: SignatureTest, findings: Findings): ReadonlyMap<string, CommitNote> {
  const notes = new Map<string, CommitNote>();
  for (const place of shelf.index.ofKinds([kinds.commit])) {
    const frame = shelf.read(place);
    if (frame === undefined) continue;
    if (!isSigned(place.ordinal, frame)) {
      noteForged(place, findings);
      continue;
    }
    const open = quietly(() => readCommitOpen(frame.open));
    if (open === undefined) {
      const records = [nameOrdinal(place.ordinal)];
      findings.add({
        severity: 'notice',
        code: 'commit.malformed',
        message: 'a commit is not well formed',
        records,
        where: shelf.describe(place),
      });
      continue;
    }
    const hash = sha256(frame.whole);
    const previousHash = Buffer.from(open.previousHash);
    notes.set(hash.toString('latin1'), { ...open, previousHash, hash, ordinal: place.ordinal, place });
  }
  return notes;
}

function noteForged({ ordinal }: IndexedPlace, findings: Findings): void {
  const records = [nameOrdinal(ordinal)];
  const message = 'a commit is not signed by a writer of the keyring';
  findings.add({ severity: 'notice', code: 'commit.forged', message, records });
}

/** The commits that make up the state: from behind the checkpoint to the head, and the checkpoint where there is one. */
export type Chain = {
  readonly head: Commit;
  readonly checkpoint: Commit | undefined;
  readonly later: readonly Commit[];
};

/** Walks commits down and remembers what broke, so that each is opened once. */
export class ChainFinder {
  readonly #log: CommitLog;
  readonly #broken = new Map<string, string>();
  readonly refusals = new Map<string, Refusal>();

  constructor(log: CommitLog) {
    this.#log = log;
  }

  /** The chain under a commit, without a gap down to its checkpoint; undefined where it breaks. */
  chainOf(note: CommitNote): Chain | undefined {
    const path: Commit[] = [];
    let at: CommitNote | undefined = note;
    while (at !== undefined) {
      const commit: Commit | undefined = this.#open(at);
      if (commit === undefined || commit.checkpoint !== note.checkpoint) break;
      path.push(commit);
      if (isBase(commit)) return makeChain(path);
      at = this.#before(commit);
    }
    for (const commit of path) this.#broken.set(commit.hash.toString('latin1'), 'gap');
    return undefined;
  }

  #open(note: CommitNote): Commit | undefined {
    const name = note.hash.toString('latin1');
    if (this.#broken.has(name)) return undefined;
    const opened = this.#log.open(note);
    if (typeof opened !== 'string') return opened;
    this.#broken.set(name, opened);
    this.refusals.set(name, opened);
    return undefined;
  }

  #before(commit: Commit): CommitNote | undefined {
    const before = this.#log.find(commit.previousHash);
    return before !== undefined && before.number === commit.number - 1 ? before : undefined;
  }
}

function isBase(commit: Commit): boolean {
  if (commit.root !== undefined && commit.number === commit.checkpoint) return true;
  return commit.checkpoint === 0 && commit.number === 1;
}

function makeChain(path: readonly Commit[]): Chain {
  const rising = path.toReversed();
  const [base] = rising;
  const checkpoint = base?.root === undefined ? undefined : base;
  return { head: path[0]!, checkpoint, later: checkpoint === undefined ? rising : rising.slice(1) };
}

/** The newest commits by number that have a whole chain; several when the archive forked at one number. */
export function findHead(log: CommitLog, finder: ChainFinder, below = Infinity): Chain | undefined {
  let best: Chain | undefined;
  for (const note of log.notes) {
    if (note.number >= below) continue;
    if (best !== undefined && note.number < best.head.number) break;
    const chain = finder.chainOf(note);
    if (chain !== undefined) best = best === undefined ? chain : later(best, chain);
  }
  if (best !== undefined) checkFeatures(best);
  return best;
}

function later(a: Chain, b: Chain): Chain {
  return (compareInstants(a.head.at, b.head.at) || Buffer.compare(b.head.hash, a.head.hash)) >= 0 ? a : b;
}

function checkFeatures(chain: Chain): void {
  const features = [chain.checkpoint, ...chain.later].flatMap((commit) => commit?.featuresToRead ?? []);
  if (features.length > 0) throw new RecoverError('archive.needs_feature', { features: [...new Set(features)] });
}
