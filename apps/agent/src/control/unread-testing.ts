/** Protects two sets as a user to whom modes apply, one with two entries that may not be read; prints the status as JSON. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { TestAgent } from '../testing.ts';

/** Changes are looked at every 15 seconds. */
const waitMs = 60_000;

const agent = new TestAgent();
const closed = path.join(agent.tree, 'closed');
try {
  agent.write('open', 'content');
  writeFileSync(path.join(agent.tree, 'closed file'), 'content', { mode: 0 });
  agent.write('closed/inside', 'content');
  chmodSync(closed, 0);
  const other = path.join(agent.folder, 'other');
  mkdirSync(other);
  writeFileSync(path.join(other, 'file'), 'content');
  await agent.start();
  await agent.addDestination();
  await agent.ask('set.add', { set: { name: 'other', includes: [other] } });
  await agent.ask('backup');
  await agent.ask('backup');
  const status = await agent.ask('status');
  const unreadable = async () => (await agent.ask('status'))['unreadable'];
  // No whole look comes: changes alone are to say it.
  chmodSync(path.join(agent.tree, 'closed file'), 0o600);
  await agent.until(async () => (await unreadable()) === 1, 'the file is read', waitMs);
  agent.write('another', 'content');
  await agent.until(() => agent.has(path.join(agent.tree, 'another')), 'another look', waitMs);
  const stillClosed = await unreadable();
  chmodSync(closed, 0o700);
  await agent.until(async () => (await unreadable()) === 0, 'the folder is looked into', waitMs);
  const isRead = await agent.has(path.join(closed, 'inside'));
  process.stdout.write(JSON.stringify({ status, tree: agent.tree, stillClosed, isRead }));
} finally {
  chmodSync(closed, 0o700);
  await agent.remove();
}
