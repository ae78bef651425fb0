import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { CodedError } from '@holdfast/base';
import { TestAgent } from '../testing.ts';

const skip = process.getuid?.() !== 0 && 'needs root';

test(
  'a restore into a full disk leaves nothing half-done, names the file, and goes on once there is room',
  { skip },
  async (t) => {
    const agent = new TestAgent();
    const target = path.join(agent.folder, 'target');
    mkdirSync(target);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', target]);
    t.after(async () => {
      execFileSync('umount', ['-l', target]);
      await agent.remove();
    });
    const long = randomBytes(20_000_000);
    agent.write('long', long);
    for (let number = 0; number < 20; number++) agent.write(`small ${number}`, `content ${number}`);
    await agent.start();
    await agent.addDestination();
    await agent.ask('backup');
    const restore = () => agent.ask('restore', { paths: [agent.tree], to: target });
    await assert.rejects(restore(), (error) => {
      assert.ok(error instanceof CodedError);
      assert.deepEqual([error.code, error.kind], ['files.disk_full', 'exhausted']);
      assert.equal(error.details['path'], `${target}/tree/long`);
      assert.equal(typeof error.details['restored'], 'number');
      assert.match(String(error.details['remedy']), /make room.*again/);
      return true;
    });
    const left = readdirSync(target, { recursive: true, encoding: 'utf8' });
    assert.deepEqual(
      left.filter((name) => name.includes('.holdfast-')),
      [],
    );
    execFileSync('mount', ['-o', 'remount,size=64m', target]);
    const report = await restore();
    assert.deepEqual([report['restored'], report['renamedCount'], report['failedCount']], [21, 0, 0]);
    assert.ok(readFileSync(path.join(target, 'tree/long')).equals(long));
  },
);
