import assert from 'node:assert/strict';
import test from 'node:test';
import { begin } from '../testing/golden-begin.ts';
import { golden } from '../testing/golden-rows.ts';
import { fixedTools } from '../testing/folder-source.ts';
import { ForgedLife, knowledgeOf } from '../testing/forged-life.ts';
import { memorySource } from '../testing/memory-source.ts';
import { findHeader } from './find-keyring.ts';
import { gatherKeyrings } from './gather-keyrings.ts';
import type { ReadProblem } from './record-source.ts';
import { WriterLists } from './writer-lists.ts';

/** An archive with two keyrings of introduced writers, and keyrings that a stranger signed for himself. */
function scene(strangers: number) {
  const { maker } = begin('many keyrings');
  maker.addWriter('state_lost', 1, true);
  maker.keyring(golden(0));
  const genuine = [...maker.records];
  const known = knowledgeOf(maker);
  const life = ForgedLife.ofStranger(maker, known, 1);
  const forged = Array.from({ length: strangers }, (_, index) => life.keyring(index + 3).record);
  return { genuine, forged };
}

async function gathered(records: Parameters<typeof memorySource>[0], most?: number) {
  const source = memorySource(records);
  const problems: ReadProblem[] = [];
  const found = await findHeader(source, fixedTools, problems);
  const lists = new WriterLists(found.archiveId, fixedTools);
  const options = { tools: fixedTools, problems, lists, ...(most !== undefined && { most }) };
  const keyrings = await gatherKeyrings(source, found, options);
  return { numbers: keyrings.map(({ keyring }) => keyring.number), problems };
}

test('no more keyrings are looked at than there is room for, what anybody can sign takes no room from others, and it is said', async () => {
  const { genuine, forged } = scene(7);
  for (const records of [
    [...genuine, ...forged],
    [...forged, ...genuine],
  ]) {
    const few = await gathered(records, 4);
    assert.equal(few.numbers.length, 6);
    assert.deepEqual(few.numbers.slice(-2), [2, 1], 'those whose writers were introduced are there');
    assert.deepEqual(
      few.problems.map(({ problem }) => problem),
      Array.from({ length: 3 }, () => 'there are more keyrings than the 4 that are looked at'),
    );
    const all = await gathered(records);
    assert.deepEqual([all.numbers.length, all.problems], [9, []]);
  }
  const own = await gathered([...genuine, ...forged], 1);
  assert.ok(own.numbers.length === 2 && own.problems.length === 7, 'also those that were introduced have a bound');
});
