import { corrupt } from '../errors.ts';
import { Cursor, type Instant, readWhole } from './bytes.ts';

/** What a structure's tags mean: a name for each, whether it must be understood, may repeat, must be there. */
export type FieldRule = {
  readonly name: string;
  readonly must: boolean;
  readonly repeated?: true;
  readonly required?: true;
};

/** Rules by tag. */
export type FieldRules = Readonly<Record<number, FieldRule>>;

/** The fields of one structure, read by tag. */
export class Fields {
  readonly structure: string;
  readonly #values: ReadonlyMap<number, readonly Buffer[]>;

  constructor(structure: string, values: ReadonlyMap<number, readonly Buffer[]>) {
    this.structure = structure;
    this.#values = values;
  }

  all(tag: number): readonly Buffer[] {
    return this.#values.get(tag) ?? [];
  }

  bytes(tag: number): Buffer | undefined {
    return this.all(tag)[0];
  }

  read<T>(tag: number, read: (cursor: Cursor) => T): T | undefined {
    const value = this.bytes(tag);
    return value === undefined ? undefined : readWhole(value, this.structure, read);
  }

  number(tag: number): number | undefined {
    return this.read(tag, (cursor) => cursor.varint());
  }

  instant(tag: number): Instant | undefined {
    return this.read(tag, (cursor) => cursor.instant());
  }

  /** A value that must be there with exactly so many bytes. */
  fixed(tag: number, length: number): Buffer {
    const value = this.need(tag, this.bytes(tag));
    if (value.length !== length) throw corrupt(this.structure, `field ${tag} has ${value.length} bytes, not ${length}`);
    return value;
  }

  /** A number that must be there. */
  count(tag: number): number {
    return this.need(tag, this.number(tag));
  }

  need<T>(tag: number, value: T | undefined): T {
    if (value === undefined) throw corrupt(this.structure, `field ${tag} is missing`);
    return value;
  }
}

/**
 * Reads tagged values that fill the bytes to the end (§1).
 *
 * @throws structure.corrupt for tags out of order, doubled, with the wrong `c`, missing where required, or unknown
 * where they must be understood.
 */
export function readFields(bytes: Buffer, structure: string, rules: FieldRules): Fields {
  const values = new Map<number, Buffer[]>();
  const cursor = new Cursor(bytes, structure);
  let lastTag = 0;
  while (cursor.left > 0) {
    const key = cursor.varint();
    const tag = Math.floor(key / 2);
    const value = cursor.take(cursor.varint());
    if (tag < lastTag) throw corrupt(structure, 'tags decrease');
    lastTag = tag;
    const rule = knownRule(rules, { tag, must: key % 2 === 1 }, structure);
    if (rule === undefined) continue;
    const earlier = values.get(tag);
    if (earlier !== undefined && rule.repeated !== true) throw corrupt(structure, `field ${tag} comes twice`);
    if (earlier === undefined) values.set(tag, [value]);
    else earlier.push(value);
  }
  const fields = new Fields(structure, values);
  for (const [tag, rule] of Object.entries(rules)) {
    if (rule.required === true) fields.need(Number(tag), fields.bytes(Number(tag)));
  }
  return fields;
}

function knownRule(
  rules: FieldRules,
  key: { readonly tag: number; readonly must: boolean },
  structure: string,
): FieldRule | undefined {
  const rule = rules[key.tag];
  if (rule === undefined && key.must) throw corrupt(structure, `field ${key.tag} must be understood and is not known`);
  if (rule !== undefined && rule.must !== key.must) throw corrupt(structure, `field ${key.tag} has the wrong c`);
  return rule;
}

/** A rule in one line: `field('size', '!')`; `!` must understand, `*` repeated, `+` required. */
export function field(name: string, marks = ''): FieldRule {
  return {
    name,
    must: marks.includes('!'),
    ...(marks.includes('*') ? { repeated: true as const } : {}),
    ...(marks.includes('+') ? { required: true as const } : {}),
  };
}
