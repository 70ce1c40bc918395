"""The leaderboard: entries, their verification, and its rendering."""
