const MAX_DISTANCE = 2;
/** Least length of a word for a prefix match: shorter ones begin many words. */
const MIN_STEM = 4;

/** The text `: did you mean X?` with the candidate nearest to `word`; '' if none is near. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const nearest = nearestWord(word, candidates);
  return nearest === undefined ? '' : `: did you mean ${nearest}?`;
}

/** The candidate that differs from `word` in at most two letters, else the longest one that `word` begins with. */
export function nearestWord(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  // A short word would be near every other short word.
  let bestDistance = Math.min(MAX_DISTANCE, Math.floor(word.replace(/^-+/, '').length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best ?? stemOf(word, candidates);
}

function stemOf(word: string, candidates: Iterable<string>): string | undefined {
  let stem = '';
  for (const candidate of candidates) {
    const isLonger = candidate.length >= MIN_STEM && candidate.length > stem.length;
    if (isLonger && word.startsWith(candidate)) stem = candidate;
  }
  return stem === '' ? undefined : stem;
}

/** How many letters have to be inserted, removed or changed. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, previous[j] + 1, row[j - 1] + 1));
    }
    previous = row;
  }
  return previous[b.length];
}
