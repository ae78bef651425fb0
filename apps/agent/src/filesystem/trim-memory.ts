import { native } from './native.ts';

let trim: ((keptBytes: number) => number) | undefined;

/**
 * Gives memory that was freed back to the system: `malloc_trim(3)`. The C library by itself only does so at the end of its
 * heap, where something is nearly always in use. Takes 1 to 10 ms; does nothing where the C library has no such call.
 */
export function trimMemory(): void {
  trim ??= bindTrim();
  trim(0);
}

function bindTrim(): (keptBytes: number) => number {
  try {
    return native().koffi.load(null).func('malloc_trim', 'int', ['size_t']) as (keptBytes: number) => number;
  } catch {
    return () => 0;
  }
}
