import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { closeMemory } from './native-calls.ts';

// Holds a secret, with its memory closed or left open, until it is ended.
const [, , how] = process.argv;
if (how === 'traced') beTraced();
try {
  if (how !== 'open') closeMemory();
  process.send?.('ready');
} catch (error) {
  process.send?.((error as { code?: string }).code);
}

/** Has the parent trace this process, as a debugger that starts it does (PTRACE_TRACEME). */
function beTraced(): void {
  const { load } = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const ptrace = load(null).func('ptrace', 'long', ['int', 'int', 'void *', 'void *']) as (
    ...args: unknown[]
  ) => number;
  if (ptrace(0, 0, null, null) !== 0) throw new Error('nobody may be traced here');
}
setInterval(() => undefined, 1_000_000);
