import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/** The rules of the job, for both Java systems: events, a learner's state, and what it adds to the counters. */
final class Learners {
    private static final Set<String> STATUSES = Set.of("employed", "self_employed", "studying", "seeking", "other");
    private static final Set<String> CONTRACTS =
        Set.of("permanent", "fixed_term", "agency", "apprenticeship", "other");
    private static final Set<String> IN_WORK = Set.of("employed", "self_employed");
    private static final Pattern ID = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._:~-]{0,99}");
    private static final int[] HORIZONS_MONTHS = {6, 12, 18, 24, 30, 36};
    private static final String[] WEEKS =
        IntStream.rangeClosed(0, 260).mapToObj(week -> String.format("w%03d", week)).toArray(String[]::new);
    private static final ObjectReader READER = new ObjectMapper().readerFor(Envelope.class);

    @JsonIgnoreProperties(ignoreUnknown = true)
    record Envelope(
        String specversion, String id, String source, String type, String subject, String time, String partitionkey,
        Said data) {}

    @JsonIgnoreProperties(ignoreUnknown = true)
    record Said(
        String programme, @JsonProperty("graduated_on") String graduatedOn, String status, String since,
        String contract, @JsonProperty("full_time") Boolean fullTime,
        @JsonProperty("related_to_field") Boolean related) {}

    /** What facts are ordered by. */
    record Age(long seconds, int nanos, String id) implements Comparable<Age> {
        private static final Comparator<Age> ORDER =
            Comparator.comparingLong(Age::seconds).thenComparingInt(Age::nanos).thenComparing(Age::id);

        @Override
        public int compareTo(Age other) {
            return ORDER.compare(this, other);
        }
    }

    record Graduation(LocalDate on, Age age) {}

    record Job(
        String status, LocalDate since, String contract, Boolean fullTime, Boolean related, LocalDate recorded,
        Age age) {
        LocalDate begin() {
            return since == null ? recorded : since;
        }

        LocalDate end() {
            return recorded.plusMonths(6);
        }

        boolean works() {
            return IN_WORK.contains(status);
        }

        int hours() {
            return fullTime == null ? 0 : fullTime ? 40 : 20;
        }

        /** Does a status that began later take this one's place? Two jobs may be held at once. */
        boolean isReplaced(List<Job> others) {
            for (Job other : others) {
                if (LAST_BEGUN.compare(other, this) <= 0) continue;
                if (!works() || !other.works() || other.begin().isAfter(recorded)) return true;
            }
            return false;
        }

        static final Comparator<Job> LAST_BEGUN = Comparator.comparing(Job::begin).thenComparing(Job::age);
        static final Comparator<Job> MAIN =
            Comparator.comparing(Job::hours).reversed().thenComparing(Job::begin).thenComparing(Job::age);
    }

    /** One of graduation and job is there; the slot is the programme or the job's own id. */
    record Event(String learner, String slot, Graduation graduation, Job job) {}

    static final class State {
        final Map<String, Graduation> graduations = new HashMap<>(2);
        final Map<String, Job> jobs = new HashMap<>(4);

        /** Take an event in; false if what is known is as new, so that nothing changed. */
        boolean apply(Event event) {
            if (event.graduation != null) {
                Graduation known = graduations.get(event.slot);
                if (known != null && known.age.compareTo(event.graduation.age) >= 0) return false;
                graduations.put(event.slot, event.graduation);
            } else {
                Job known = jobs.get(event.slot);
                if (known != null && known.age.compareTo(event.job.age) >= 0) return false;
                jobs.put(event.slot, event.job);
            }
            return true;
        }
    }

    interface Counted {
        void add(String programme, String month, String measure);
    }

    static Event parse(byte[] value) {
        try {
            Envelope e = READER.readValue(value);
            require(e.specversion.equals("1.0"), "specversion");
            require(ID.matcher(e.subject).matches() && ID.matcher(e.partitionkey).matches(), "id");
            require(!e.id.isEmpty() && e.source.startsWith("/organisations/"), "source");
            OffsetDateTime time = OffsetDateTime.parse(e.time).withOffsetSameInstant(ZoneOffset.UTC);
            Age age = new Age(time.toEpochSecond(), time.getNano(), e.id);
            Said said = e.data;
            switch (e.type) {
                case "praktika.learner.graduated.v1":
                    require(ID.matcher(said.programme).matches(), "programme");
                    Graduation graduation = new Graduation(LocalDate.parse(said.graduatedOn), age);
                    return new Event(e.partitionkey, said.programme, graduation, null);
                case "praktika.employment.recorded.v1":
                    require(STATUSES.contains(said.status), "status");
                    require(said.contract == null || CONTRACTS.contains(said.contract), "contract");
                    LocalDate since = said.since == null ? null : LocalDate.parse(said.since);
                    Job job = new Job(
                        said.status, since, said.contract, said.fullTime, said.related, time.toLocalDate(), age);
                    return new Event(e.partitionkey, e.subject, null, job);
                default:
                    throw new IllegalArgumentException("type " + e.type);
            }
        } catch (IOException error) {
            throw new IllegalArgumentException(error);
        }
    }

    private static void require(boolean holds, String field) {
        if (!holds) throw new IllegalArgumentException(field);
    }

    /** Everything that a learner counts in. */
    static void measures(State state, Counted counted) {
        for (Map.Entry<String, Graduation> entry : state.graduations.entrySet()) {
            LocalDate day = entry.getValue().on;
            String month = day.toString().substring(0, 7);
            ofGraduate(day, state.jobs.values(), measure -> counted.add(entry.getKey(), month, measure));
        }
    }

    private static void ofGraduate(
        LocalDate day, Collection<Job> jobs, Consumer<String> yield) {
        yield.accept("graduates");
        if (jobs.isEmpty()) return;
        LocalDate last = jobs.stream().map(Job::recorded).max(Comparator.naturalOrder()).get();
        Job newest = statusOn(last, jobs);
        if (newest != null) ofStatus(newest, yield);
        for (int months : HORIZONS_MONTHS) {
            Job held = statusOn(day.plusMonths(months), jobs);
            if (held != null) yield.accept("after_" + months + "m_" + held.status);
        }
        LocalDate first = null;
        for (Job job : jobs) {
            if (!job.works()) continue;
            if (job.begin().isBefore(day) && day.isBefore(job.end())) {
                yield.accept("employed_at_graduation");
                return;
            }
            if (job.since != null && !job.since.isBefore(day) && (first == null || job.since.isBefore(first)))
                first = job.since;
        }
        if (first != null) yield.accept(WEEKS[(int) Math.min((first.toEpochDay() - day.toEpochDay()) / 7, 260)]);
    }

    private static void ofStatus(Job newest, Consumer<String> yield) {
        yield.accept("status_" + newest.status);
        if (IN_WORK.contains(newest.status)) {
            String contract = newest.status.equals("self_employed") ? "permanent" : newest.contract;
            if (contract != null) yield.accept(contract.equals("permanent") ? "contract_stable" : "contract_other");
            if (newest.fullTime != null) yield.accept(newest.fullTime ? "hours_full" : "hours_part");
            if (newest.related != null) yield.accept(newest.related ? "work_related" : "work_unrelated");
        }
    }

    /** The main job of those held on a day (most hours, then longest), else the status that began last. */
    private static Job statusOn(LocalDate day, Collection<Job> jobs) {
        List<Job> held = new ArrayList<>(2);
        for (Job job : jobs) if (!job.begin().isAfter(day) && day.isBefore(job.end())) held.add(job);
        if (held.size() < 2) return held.isEmpty() ? null : held.get(0);
        Job main = null, last = null;
        for (Job job : held) {
            if (job.isReplaced(held)) continue;
            if (job.works() && (main == null || Job.MAIN.compare(job, main) < 0)) main = job;
            if (last == null || Job.LAST_BEGUN.compare(job, last) > 0) last = job;
        }
        return main == null ? last : main;
    }

    /** What to add to the counters, by programme and month. */
    static final class Differences {
        record Cell(String programme, String month) {}

        final Map<Cell, Map<String, Integer>> cells = new HashMap<>();

        void add(State state, int sign) {
            measures(state, (programme, month, measure) ->
                cells.computeIfAbsent(new Cell(programme, month), c -> new HashMap<>())
                    .merge(measure, sign, Integer::sum));
        }

        /** The differences that are not zero. */
        List<Map.Entry<Cell, Map<String, Integer>>> changed() {
            cells.values().forEach(measures -> measures.values().removeIf(number -> number == 0));
            List<Map.Entry<Cell, Map<String, Integer>>> changed = new ArrayList<>(cells.entrySet());
            changed.removeIf(cell -> cell.getValue().isEmpty());
            return changed;
        }
    }
}
