import { closeMemory } from './native-calls.ts';

// Holds a secret, with its memory closed or left open, until it is ended.
if (process.argv[2] === 'closed') closeMemory();
process.send?.('ready');
setInterval(() => undefined, 1_000_000);
