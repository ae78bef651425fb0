import { type Ordinal, writerOf } from '../format/bytes.ts';
import { readCommitOpen, readCommitSealed } from '../format/commit.ts';
import { rightfulWriter, type Writer } from '../format/keyring.ts';
import { associatedData, kinds, nonceOf, recordSignatureHolds } from '../format/record.ts';
import { openSealed, unwrapPlaintext } from '../format/sealing.ts';
import { type EpochKeys, readingKey } from './epoch-keys.ts';
import type { TreeNode } from './keyring-tree.ts';
import type { IndexedPlace } from './place-index.ts';
import { quietly } from './quietly.ts';
import type { Shelf } from './shelf.ts';

type SeenCommit = { readonly number: number; readonly ordinal: Ordinal; readonly place: IndexedPlace };

/**
 * What the commits of an archive say of its keyrings, before it is known whose commits count.
 *
 * Commits are read when something is asked, and no further than the answer takes.
 */
export class CommitVoices {
  readonly #shelf: Shelf;
  readonly #archiveId: Buffer;
  readonly #keys: EpochKeys;
  readonly #named = new Map<string, NamedKeyrings>();
  readonly #signed = new Map<string, boolean>();
  #commits: readonly SeenCommit[] | undefined;

  /** `keys` are those that commits are tried with; no others speak. */
  constructor(shelf: Shelf, archiveId: Buffer, keys: EpochKeys) {
    this.#shelf = shelf;
    this.#archiveId = archiveId;
    this.#keys = keys;
  }

  /** Whether a commit names the keyring by its hash and opens with this key, in the epoch of the keyring's header. */
  isNamed({ keyring, epoch }: TreeNode, key: Buffer | undefined): boolean {
    const isTried = key !== undefined && this.#keys.get(epoch)?.some((one) => one.equals(key)) === true;
    if (keyring === undefined || !isTried) return false;
    const name = `${epoch} ${key.toString('hex')}`;
    const found = this.#named.get(name) ?? new NamedKeyrings(this.#namesUnder(epoch, key));
    this.#named.set(name, found);
    return found.has(keyring.hash.toString('latin1'));
  }

  /** Whether there is a commit of that number or above, signed by the writer whose it is by a list (§5). */
  isCommitted(writers: readonly Writer[], fromCommit: number): boolean {
    this.#commits ??= this.#readNumbers();
    for (const { number, ordinal, place } of this.#commits) {
      if (number < fromCommit) return false;
      const writer = rightfulWriter(writers, number);
      if (writer?.number === writerOf(ordinal) && this.#isSignedBy(writer, place)) return true;
    }
    return false;
  }

  /** Those that were added last are likely to name the newest, so they come first. */
  *#namesUnder(epoch: number, epochKey: Buffer): Generator<string> {
    const key = readingKey(epochKey, this.#archiveId, 'metadata');
    for (const place of this.#shelf.index.ofKindBackwards(kinds.commit)) {
      const frame = this.#shelf.read(place);
      if (frame?.epoch !== epoch) continue;
      const seal = { key, nonce: nonceOf(frame), associated: associatedData(this.#archiveId, frame) };
      const plain = openSealed(seal, frame.sealed);
      const commit = plain && quietly(() => readCommitSealed(unwrapPlaintext(plain).bytes));
      if (commit !== undefined) yield commit.keyring.hash.toString('latin1');
    }
  }

  #readNumbers(): readonly SeenCommit[] {
    const commits: SeenCommit[] = [];
    for (const place of this.#shelf.index.ofKinds([kinds.commit])) {
      const frame = this.#shelf.read(place);
      const open = frame && quietly(() => readCommitOpen(frame.open));
      if (open !== undefined) commits.push({ number: open.number, ordinal: place.ordinal, place });
    }
    return commits.sort((a, b) => b.number - a.number);
  }

  #isSignedBy({ publicKey }: Writer, place: IndexedPlace): boolean {
    const name = `${place.segment} ${place.offset} ${publicKey.toString('hex')}`;
    const known = this.#signed.get(name);
    if (known !== undefined) return known;
    const frame = this.#shelf.read(place);
    const holds = frame !== undefined && recordSignatureHolds(this.#archiveId, frame, publicKey);
    this.#signed.set(name, holds);
    return holds;
  }
}

/** The keyrings that commits name, read as far as somebody asks. */
class NamedKeyrings {
  readonly #found = new Set<string>();
  readonly #rest: Iterator<string>;

  constructor(names: Iterator<string>) {
    this.#rest = names;
  }

  has(name: string): boolean {
    while (!this.#found.has(name)) {
      const next = this.#rest.next();
      if (next.done === true) return false;
      this.#found.add(next.value);
    }
    return true;
  }
}
