/** Where a sparse file has data. A file system that does not know says that all of it is data. */
import { constants } from 'node:os';
import { fail, lastErrno, native } from './native.ts';
import type { Descriptor } from './open-relative.ts';

/** A stretch of a file, in bytes. */
export type ByteRange = { readonly offset: number; readonly length: number };

/** The first byte at or after `offset` that is data; undefined where only a hole follows. Moves the descriptor's own position. */
export function nextData(fd: Descriptor, offset: number): number | undefined {
  return seek(fd, offset, seekData);
}

/** The first byte at or after `offset` that is in a hole; the end of the file counts as one. Undefined past the end. */
export function nextHole(fd: Descriptor, offset: number): number | undefined {
  return seek(fd, offset, seekHole);
}

/** The stretches of data in `range`, in order, cut to it: what is between them is holes. Found as they are asked for. */
export function* dataRanges(fd: Descriptor, range: ByteRange): Generator<ByteRange> {
  const end = range.offset + range.length;
  let offset = range.offset;
  while (offset < end) {
    const start = nextData(fd, offset);
    if (start === undefined || start >= end) return;
    // The file can shrink between the two calls: then there is no hole after it either.
    const stop = Math.min(nextHole(fd, start) ?? start, end);
    if (stop <= start) return;
    yield { offset: start, length: stop - start };
    offset = stop;
  }
}

const seekData = 3;
const seekHole = 4;

function seek(fd: Descriptor, offset: number, whence: number): number | undefined {
  const found = native().libc.lseek(fd, offset, whence);
  if (found >= 0) return found;
  if (lastErrno() === constants.errno.ENXIO) return undefined;
  return fail('lseek');
}
