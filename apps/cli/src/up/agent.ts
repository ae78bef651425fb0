import type { StartAgent } from './run-up.ts';

/** The agent that `up` composes; undefined while there is none, and `up` then offers no option about it. */
export const startAgent: StartAgent | undefined = undefined;
