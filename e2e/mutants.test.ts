import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { loadMutants, plant } from './mutants.ts';

const rootDir = path.resolve(import.meta.dirname, '..');

test('every planted fault can still be planted, and the test that guards against it is there', async () => {
  const mutants = await loadMutants();
  const stale = mutants.flatMap((mutant) => {
    const planted = plant(mutant, readFileSync(path.join(rootDir, mutant.file), 'utf8'));
    if ('stale' in planted) return [`${mutant.name}: ${planted.stale}`];
    return existsSync(path.join(rootDir, mutant.test)) ? [] : [`${mutant.name}: ${mutant.test} is not there`];
  });
  assert.ok(mutants.length > 80);
  assert.deepEqual(stale, []);
});

test('a fault whose text is gone, is there twice or leaves no TypeScript cannot be planted', () => {
  const mutant = { name: 'any', file: 'a.ts', find: 'b();', replace: 'c();', test: 'a.test.ts' };
  assert.deepEqual(plant(mutant, 'a();b();'), { mutated: 'a();c();' });
  assert.deepEqual(plant({ ...mutant, replace: "'$&';" }, 'b();'), { mutated: "'$&';" });
  assert.ok('stale' in plant(mutant, 'a();'));
  assert.ok('stale' in plant(mutant, 'b();b();'));
  assert.ok('stale' in plant({ ...mutant, replace: '{' }, 'b();'));
});
