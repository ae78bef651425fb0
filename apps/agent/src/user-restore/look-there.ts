/** What is there already of what a restore would make: looked at by whoever runs this, entry by entry, following no link. */
import { comparePieces, namesOfPath, type SourceRange, type Target, type TargetAttributes } from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import { textToPath } from '../browse/path-text.ts';
import { closeDescriptor, openDirectory } from '../filesystem/index.ts';
import { createLinuxTarget } from '../restore/index.ts';

/** Where in a file, how many bytes, and their SHA-256 in base64. */
export type ShownPiece = readonly [position: number, length: number, sha256: string];

/** An entry as a dry run names it. */
export type PlannedEntry = {
  readonly path: string;
  readonly type: string;
  readonly sizeBytes?: number;
  readonly target?: string;
  readonly device?: { readonly major: number; readonly minor: number };
};

/** Whether an entry is there; `unknown`: something is, and who looks may not read it. */
export type Presence = 'absent' | 'same' | 'differs' | 'unknown';

type Looked = {
  readonly entry: PlannedEntry;
  readonly name: Uint8Array;
  readonly found: TargetAttributes;
  presence: Presence;
  end: number;
  isAnyPiece: boolean;
};

/** Looks below one folder; `close` it afterwards. */
export class LookThere {
  readonly #target: Target = createLinuxTarget();
  readonly #rootNames: number;
  readonly #rootFd: number | undefined;
  #directory: { readonly path: string; readonly fd: number | undefined } | undefined;
  #looked: Looked | undefined;

  /** `root`: where the restore goes to; the root of the machine for one in place. */
  constructor(root = '/') {
    this.#rootNames = namesOfPath(textToPath(root)).length;
    this.#rootFd = orUndefined(() => openDirectory(textToPath(root)));
  }

  close(): void {
    this.#leave();
    if (this.#rootFd !== undefined) closeDescriptor(this.#rootFd);
  }

  /** Begins with an entry; its pieces follow. */
  begin(entry: PlannedEntry): void {
    const names = namesOfPath(textToPath(entry.path)).slice(this.#rootNames);
    const name = names.at(-1);
    const fd = this.#enter(names.slice(0, -1));
    this.#looked = undefined;
    if (fd === undefined || !name) return;
    const found = orUndefined(() => this.#target.statAt(fd, name));
    if (found) this.#looked = { entry, name, found, presence: 'same', end: 0, isAnyPiece: false };
    this.#compare(() => this.#isAlike(fd));
  }

  /** Goes on with pieces of its content, in order. */
  pieces(pieces: readonly ShownPiece[]): void {
    const looked = this.#looked;
    if (!looked || pieces.length === 0) return;
    looked.isAnyPiece = true;
    const holes: SourceRange[] = [];
    for (const [position, length] of pieces) {
      if (position > looked.end) holes.push({ offset: looked.end, length: position - looked.end });
      looked.end = position + length;
    }
    const work = pieces.map(([position, length, sha256]) => {
      return { position, offset: 0, length, sha256: Buffer.from(sha256, 'base64') };
    });
    this.#compare(() => this.#hasContent(work, holes));
  }

  /** What became of it. */
  end(): Presence {
    const looked = this.#looked;
    if (!looked) return 'absent';
    const { entry, end, isAnyPiece, found } = looked;
    const { sizeBytes = 0 } = entry;
    // Without a piece the content is one hole: so is a file that nothing is allocated to.
    if (entry.type === 'file' && !isAnyPiece) this.#compare(() => found.blocks === 0 || sizeBytes === 0);
    else if (end < sizeBytes) this.#compare(() => this.#hasContent([], [{ offset: end, length: sizeBytes - end }]));
    return looked.presence;
  }

  #compare(isSame: () => boolean): void {
    const looked = this.#looked;
    if (looked?.presence !== 'same') return;
    try {
      if (!isSame()) looked.presence = 'differs';
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      looked.presence = 'unknown';
    }
  }

  #isAlike(directoryFd: number): boolean {
    const { entry, found, name } = this.#looked!;
    if (found.type !== entry.type) return false;
    if (entry.type === 'file') return found.sizeBytes === entry.sizeBytes;
    if (entry.target !== undefined) {
      return Buffer.compare(this.#target.readLink(directoryFd, name), textToPath(entry.target)) === 0;
    }
    const { device } = entry;
    return device === undefined || (device.major === found.rdevMajor && device.minor === found.rdevMinor);
  }

  #hasContent(pieces: Parameters<typeof comparePieces>[2]['pieces'], holes: readonly SourceRange[]): boolean {
    const fd = this.#directory?.fd;
    if (fd === undefined) return false;
    const job = { kind: 'compare', job: 0, places: [], place: 0, name: this.#looked!.name, pieces, holes } as const;
    const compared = comparePieces(this.#target, () => fd, job);
    return compared !== undefined && compared.matches.length === pieces.length && compared.areHolesEmpty;
  }

  /** The folder of these names; undefined where there is none, or a link is on the way. Entries of one folder come together. */
  #enter(names: readonly Uint8Array[]): number | undefined {
    const path = names.map((name) => Buffer.from(name).toString('latin1')).join('/');
    if (this.#directory?.path !== path) {
      this.#leave();
      this.#directory = { path, fd: orUndefined(() => this.#open(names)) };
    }
    return this.#directory.fd;
  }

  #open(names: readonly Uint8Array[]): number | undefined {
    let fd = this.#rootFd;
    for (const name of fd === undefined ? [] : names) {
      const above: number = fd!;
      try {
        fd = this.#target.openDirectory(above, name);
      } finally {
        if (above !== this.#rootFd) closeDescriptor(above);
      }
    }
    return fd;
  }

  #leave(): void {
    const fd = this.#directory?.fd;
    if (fd !== undefined && fd !== this.#rootFd) closeDescriptor(fd);
    this.#directory = undefined;
  }
}

function orUndefined<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}
