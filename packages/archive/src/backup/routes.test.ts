import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BlockPlace, unionOfSets } from '../index/block-table.ts';
import { choosePlace, Routes } from './routes.ts';
import { ownersOf } from './set-list.ts';

const names = ['a', 'b', 'c', 'd'] as const;
const someNames = fc.subarray([...names]);
const someSets = fc.subarray([1, 2, 3, 4]);
const plan = fc.record({
  destinations: fc.constant(names),
  ready: someNames,
  bindings: fc.uniqueArray(
    fc
      .record({
        set: fc.integer({ min: 1, max: 4 }),
        sendsTo: fc.option(someNames, { nil: undefined }),
        heldBy: fc.option(someNames, { nil: undefined }),
      })
      .map(({ set, sendsTo, heldBy }) => ({
        set,
        ...(sendsTo && { sendsTo }),
        ...(heldBy && { heldBy: heldBy.filter((name) => (sendsTo ?? names).includes(name)) }),
      })),
    { selector: ({ set }) => set },
  ),
});
const places = fc.uniqueArray(
  fc.record({
    ordinal: fc.integer({ min: 1, max: 9 }),
    sets: someSets.filter((sets) => sets.length > 0),
    isBundle: fc.boolean(),
    at: fc.constant(0),
    length: fc.constant(1),
  }),
  { selector: ({ ordinal }) => ordinal, maxLength: 4 },
);

/** The destinations that sets are bound to, the plain way. */
function boundTo(bindings: readonly { set: number; sendsTo?: readonly string[] }[], sets: readonly number[]): string[] {
  if (sets.length === 0) return [...names];
  const of = (set: number) => bindings.find((binding) => binding.set === set)?.sendsTo ?? names;
  return names.filter((name) => sets.some((set) => of(set).includes(name)));
}

function namesIn(routes: Routes, mask: number): string[] {
  return names.filter((name) => (routes.bitOf(name) & mask) !== 0);
}

test('what several sets select goes to each destination of any of them, and to no other', () => {
  fc.assert(
    fc.property(plan, someSets, (given, sets) => {
      const routes = new Routes(given);
      assert.deepEqual(namesIn(routes, routes.sendsTo(sets)), boundTo(given.bindings, sets));
      const isStorable = boundTo(given.bindings, sets).some((name) => given.ready.includes(name as 'a'));
      assert.equal(routes.canStore(sets), isStorable);
    }),
  );
});

test('a known block is used only where every destination that needs it has it or can get it alone from one that is there', () => {
  fc.assert(
    fc.property(plan, places, someSets, (given, known: readonly BlockPlace[], sets) => {
      const routes = new Routes(given);
      const wanted = routes.sendsTo(sets);
      const isHeld = ({ sets: owners }: BlockPlace) => (wanted & ~routes.heldBy(owners)) === 0;
      const isCopied = ({ sets: owners, isBundle }: BlockPlace) =>
        !isBundle && (routes.heldBy(owners) & routes.ready) !== 0;
      const chosen = choosePlace(known, sets, routes);
      if (chosen) assert.ok(isHeld(chosen) || isCopied(chosen), JSON.stringify(chosen));
      else assert.ok(!known.some((place) => isHeld(place) || isCopied(place)));
      // Nothing is copied where one that needs no copying is known.
      if (chosen && !isHeld(chosen)) assert.ok(!known.some(isHeld));
    }),
  );
});

test('a destination gets no block that none of its sets needs, whatever is stored, bound and copied', () => {
  const step = fc.record({ content: fc.integer({ min: 0, max: 3 }), sets: someSets, isSmall: fc.boolean() });
  fc.assert(
    fc.property(plan, fc.array(step, { maxLength: 30 }), (given, steps) => {
      const routes = new Routes(given);
      const owners = new Map<number, { sets: number[]; isBundle: boolean; content: number; at: Set<string> }>();
      let next = 1;
      for (const { content, sets: selecting, isSmall } of steps.filter(({ sets }) => routes.canStore(sets))) {
        const sets = ownersOf(selecting);
        const known = [...owners].filter(([, block]) => block.content === content);
        const places = known.map(([ordinal, { sets: of, isBundle }]) => ({
          ordinal,
          sets: of,
          isBundle,
          at: 0,
          length: 1,
        }));
        const chosen = choosePlace(places, sets, routes);
        const ordinal = chosen?.ordinal ?? next++;
        const block = owners.get(ordinal) ?? { sets: [], isBundle: isSmall, content, at: new Set<string>() };
        block.sets = [...unionOfSets(block.sets, sets)];
        for (const name of namesIn(routes, routes.sendsTo(sets) & routes.ready)) block.at.add(name);
        owners.set(ordinal, block);
      }
      for (const { sets, at } of owners.values()) {
        const needing = boundTo(given.bindings, sets);
        assert.deepEqual(
          [...at].filter((name) => !needing.includes(name)),
          [],
        );
        assert.deepEqual(
          needing.filter((name) => given.ready.includes(name as 'a') && !at.has(name)),
          [],
          'each that is there and needs it has it',
        );
      }
    }),
  );
});
