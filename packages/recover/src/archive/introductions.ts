import { introductionHolds, type Writer } from '../format/keyring.ts';

/**
 * Says who was introduced by the writer listed before it (§5). Writer 0 needs no introduction.
 *
 * Keyrings repeat the writers of those before them, so each signature is checked once.
 */
export class Introductions {
  readonly #archiveId: Buffer;
  readonly #known = new Map<string, boolean | undefined>();

  constructor(archiveId: Buffer) {
    this.#archiveId = archiveId;
  }

  /** Whether the introduction of a listed writer holds; undefined when there is none. */
  of(writers: readonly Writer[], index: number): boolean | undefined {
    const [writer, before] = [writers[index]!, writers[index - 1]];
    if (writer.number === 0) return true;
    const name = `${before?.publicKey.toString('latin1') ?? ''} ${writer.raw.toString('latin1')}`;
    if (!this.#known.has(name)) this.#known.set(name, introductionHolds(writer, before, this.#archiveId));
    return this.#known.get(name);
  }

  /** Whether all listed writers from an index on were introduced. */
  holdFrom(writers: readonly Writer[], from: number): boolean {
    for (let index = from; index < writers.length; index += 1) if (this.of(writers, index) !== true) return false;
    return true;
  }
}
