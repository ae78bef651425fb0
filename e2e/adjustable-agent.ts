/** Run as a child process: an agent whose clock its parent sets ahead. Arguments: state folder, folder to protect. */
import path from 'node:path';
import { startAgent } from '@holdfast/agent';
import { AdjustableClock } from './adjustable-clock.ts';

const [stateDir = '', tree = ''] = process.argv.slice(2);
const clock = new AdjustableClock();
const socketPath = path.join(stateDir, 'agent.sock');
const agent = await startAgent({ stateDir, socketPath, socketMode: 0o600, protect: [tree], clock });
process.on('message', ({ advanceMs }: { advanceMs: number }) => clock.advance(advanceMs));
process.on('disconnect', () => void agent.stop());
process.send?.({ socketPath });
await agent.ended;
