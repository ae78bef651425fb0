/** Protects two sets as a user to whom modes apply, one with two entries that may not be read; prints the status as JSON. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { TestAgent } from '../testing.ts';

const agent = new TestAgent();
const closed = path.join(agent.tree, 'closed');
try {
  agent.write('open', 'content');
  writeFileSync(path.join(agent.tree, 'closed file'), 'content', { mode: 0 });
  mkdirSync(closed, { mode: 0 });
  const other = path.join(agent.folder, 'other');
  mkdirSync(other);
  writeFileSync(path.join(other, 'file'), 'content');
  await agent.start();
  await agent.addDestination();
  await agent.ask('set.add', { set: { name: 'other', includes: [other] } });
  await agent.ask('backup');
  await agent.ask('backup');
  const status = await agent.ask('status');
  process.stdout.write(JSON.stringify({ status, tree: agent.tree }));
} finally {
  chmodSync(closed, 0o700);
  await agent.remove();
}
