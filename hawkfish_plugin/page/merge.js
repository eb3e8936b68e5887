// SPDX-License-Identifier: Apache-2.0
/** What the change of one snapshot does to a list of them. Pure. */

/**
 * *snapshots* with *one* in the place of what was at *uri*; null is what is
 * gone. Nothing that was given is changed.
 */
export function merged(snapshots, uri, one) {
  return one ? withOne(snapshots, uri, one) : without(snapshots, uri);
}

function withOne(snapshots, uri, one) {
  const place = snapshots.findIndex((other) => other["@odata.id"] === uri);
  const others = snapshots.map((other, index) => {
    if (index === place) return one;
    // A system is in one place only.
    return one.Current && other.Current ? { ...other, Current: false } : other;
  });
  return place < 0 ? [...others, one] : others;
}

function without(snapshots, uri) {
  const gone = snapshots.find((other) => other["@odata.id"] === uri);
  if (!gone) return snapshots;
  const parent = gone.Links.ParentSnapshot;
  const above = parent?.["@odata.id"];
  return snapshots
    .filter((other) => other !== gone)
    .map((other) => {
      const grew = other.Links.ParentSnapshot?.["@odata.id"] === uri;
      const isNext = gone.Current && other["@odata.id"] === above;
      if (!grew && !isNext) return other;
      const Links = grew
        ? { ...other.Links, ParentSnapshot: parent }
        : other.Links;
      return { ...other, Links, Current: other.Current || isNext };
    });
}
