// SPDX-License-Identifier: Apache-2.0
/**
 * The layout of a tree as rows by time, with a lane for each branch, as graphs
 * of commits have them: the newest first, and each above what it grew from.
 *
 * Pure. A tree comes from anywhere: one with a cycle, with two of an id or
 * with times that make no sense is laid out as well.
 */

/**
 * The rows of *nodes*, which are {id, parent, time}: *parent* is an id or null,
 * *time* in any unit that grows.
 *
 * A row is {id, parent, level, position, siblings, column, into, through,
 * down}. *level*, *position* and *siblings* are as in ARIA, and count from 1.
 * *column* is the lane of the row; *into* are the lanes that come down from
 * the row above and end in it, *through* those that pass it; *down* says
 * whether a line leaves it for its parent.
 */
export function layOut(nodes) {
  return lanes(inOrder(grown(nodes)));
}

/** Each node once, with its place in the tree, parents first. */
function grown(nodes) {
  const known = new Map();
  for (const node of nodes) if (!known.has(node.id)) known.set(node.id, node);
  const below = new Map();
  for (const node of known.values()) {
    const parent = known.has(node.parent) ? node.parent : null;
    if (!below.has(parent)) below.set(parent, []);
    below.get(parent).push(node);
  }
  const found = new Map();
  const grow = (roots) => {
    // Not recursive: a chain can be deeper than the stack.
    const waiting = [[null, roots]];
    while (waiting.length) {
      const [above, children] = waiting.pop();
      const fresh = children.filter((child) => !found.has(child.id));
      fresh.forEach((child, index) => {
        const place = {
          id: child.id,
          parent: above && above.id,
          level: above ? above.level + 1 : 1,
          position: index + 1,
          siblings: fresh.length,
          // Nothing is older than what it has grown from.
          time: Math.max(child.time || 0, above ? above.time : 0),
          given: found.size,
        };
        found.set(child.id, place);
        waiting.push([place, below.get(child.id) ?? []]);
      });
    }
  };
  grow(below.get(null) ?? []);
  // What no root leads to is in a cycle, which is cut where it is met.
  for (const node of known.values()) if (!found.has(node.id)) grow([node]);
  return [...found.values()];
}

function inOrder(places) {
  return places.sort(
    (a, b) => b.time - a.time || b.level - a.level || b.given - a.given,
  );
}

function lanes(places) {
  // Of each lane, the id that it leads down to; null where it is free.
  const waiting = [];
  return places.map((place) => {
    const into = [];
    const through = [];
    waiting.forEach((id, lane) => {
      if (id === place.id) into.push(lane);
      else if (id !== null) through.push(lane);
    });
    for (const lane of into) waiting[lane] = null;
    let column = into.length ? into[0] : waiting.indexOf(null);
    if (column < 0) column = waiting.length;
    waiting[column] = place.parent;
    while (waiting.at(-1) === null) waiting.pop();
    const { id, parent, level, position, siblings } = place;
    const down = parent !== null;
    const tree = { id, parent, level, position, siblings };
    return { ...tree, column, into, through, down };
  });
}
