/** Bytes of files as they are on the machine now, by where the archive has those files. */
import { CodedError } from '@holdfast/base';
import type { FileKey } from '../format/map-key.ts';
import type { LocalIndex } from '../index/local-index.ts';
import type { MountedRoot } from './messages.ts';
import { withPlace } from './open-place.ts';
import { PassDirectories } from './pass-directories.ts';
import { findRoots } from './pass-roots.ts';
import { emptySourceAttributes, type Source, type SourceRange } from './source.ts';

/** Reads pieces of files; finds them where their directories lie now, following no link. */
export class LocalPieces {
  readonly #source: Source;
  readonly #directories: PassDirectories;
  readonly #roots = new Map<number, MountedRoot>();

  /** `roots`: the paths of which the volumes are looked up. */
  constructor(index: LocalIndex, source: Source, roots: readonly Uint8Array[]) {
    this.#source = source;
    this.#directories = new PassDirectories(index, source, 0);
    for (const { identifier, root } of findRoots(source, roots).volumes) {
      const volume = index.directoryAt(0, Buffer.from(identifier))?.number;
      if (volume !== undefined) this.#roots.set(volume, root);
    }
  }

  /** A stretch of what has this name now; undefined where that is no file, is shorter, or cannot be read. */
  read({ directoryNumber, name }: FileKey, range: SourceRange): Uint8Array | undefined {
    const place = this.#directories.placeOf(directoryNumber, (volume) => this.#roots.get(volume));
    if (!place || name.length === 0) return undefined;
    try {
      return withPlace(this.#source, place, (fd) => this.#readAt(fd, name, range));
    } catch (error) {
      if (error instanceof CodedError) return undefined;
      throw error;
    }
  }

  #readAt(directoryFd: number, name: Uint8Array, { offset, length }: SourceRange): Uint8Array | undefined {
    const source = this.#source;
    const recorded = source.statAt(directoryFd, name, emptySourceAttributes());
    if (recorded?.type !== 'file' || offset + length > recorded.sizeBytes) return undefined;
    const fd = source.openRecorded(directoryFd, name, recorded, emptySourceAttributes());
    if (fd === undefined) return undefined;
    try {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length;) {
        const read = source.read(fd, bytes.subarray(at), offset + at);
        if (read === 0) return undefined;
        at += read;
      }
      return bytes;
    } finally {
      source.close(fd);
    }
  }
}
