package praktika;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;

/** Praktika's ingress, as one organisation. */
final class Praktika {
    private static final int ATTEMPTS = 8;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final HttpClient http = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
    private final String url;
    private final String basic;
    private String token;
    private Instant tokenEnds = Instant.MIN;

    Praktika(String url, String clientId, String clientSecret) {
        this.url = url;
        this.basic = "Basic " + Base64.getEncoder().encodeToString((clientId + ":" + clientSecret).getBytes(UTF_8));
    }

    /** What became of one event; problem is null if it was accepted. */
    record Answer(String id, int status, String event, JsonNode problem) {}

    /** Sends one event or a batch of up to 1,000 and gives the answer to each. */
    List<Answer> publish(List<Internship.Event> events) throws IOException, InterruptedException {
        boolean one = events.size() == 1;
        byte[] body = JSON.writeValueAsBytes(one ? events.get(0) : events);
        String type = one ? "application/cloudevents+json" : "application/cloudevents-batch+json";
        var response = sendEvents(type, body);
        if (response.statusCode() == 401) {
            tokenEnds = Instant.MIN;
            response = sendEvents(type, body);
        }
        int status = response.statusCode();
        JsonNode said = parsed(response.body());
        var answers = new ArrayList<Answer>();
        if (said.has("items")) {
            said.get("items").forEach(item -> answers.add(new Answer(item.path("id").asText(),
                    item.path("status").asInt(), item.path("event").asText(), item.get("problem"))));
        } else if (status == 202) {
            answers.add(new Answer(said.path("id").asText(), status, said.path("event").asText(), null));
        } else {
            events.forEach(event -> answers.add(new Answer(event.id(), status, null, said)));
        }
        return answers;
    }

    private HttpResponse<String> sendEvents(String type, byte[] body) throws IOException, InterruptedException {
        return send(request("/events", type, body).header("Authorization", "Bearer " + bearer()).build());
    }

    /** A token with a minute left at least. */
    private String bearer() throws IOException, InterruptedException {
        if (Instant.now().plusSeconds(60).isAfter(tokenEnds)) {
            byte[] form = "grant_type=client_credentials".getBytes(UTF_8);
            var response = send(request("/token", "application/x-www-form-urlencoded", form)
                    .header("Authorization", basic).build());
            if (response.statusCode() != 200) {
                throw new IOException("no token: " + response.statusCode() + " " + response.body());
            }
            JsonNode given = parsed(response.body());
            token = given.path("access_token").asText();
            tokenEnds = Instant.now().plusSeconds(given.path("expires_in").asLong());
        }
        return token;
    }

    private HttpRequest.Builder request(String path, String type, byte[] body) {
        return HttpRequest.newBuilder(URI.create(url + path)).timeout(Duration.ofSeconds(30))
                .header("Content-Type", type).POST(BodyPublishers.ofByteArray(body));
    }

    /** Sends the same until it is answered with something else than "not now". */
    private HttpResponse<String> send(HttpRequest request) throws IOException, InterruptedException {
        String problem = "";
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            double pause = ThreadLocalRandom.current().nextDouble(0.5, 1) * Math.min(30, 1 << attempt);
            try {
                var response = http.send(request, BodyHandlers.ofString());
                if (response.statusCode() != 429 && response.statusCode() < 500) {
                    return response;
                }
                problem = response.statusCode() + " " + response.body();
                pause += response.headers().firstValue("Retry-After").filter(s -> s.matches("\\d{1,4}"))
                        .map(Integer::parseInt).orElse(0);
            } catch (IOException error) {
                problem = error.toString();
            }
            if (attempt < ATTEMPTS - 1) {
                Thread.sleep((long) (pause * 1000));
            }
        }
        throw new IOException("gave up after " + ATTEMPTS + " attempts, may be repeated: " + problem);
    }

    private static JsonNode parsed(String body) {
        try {
            return JSON.readTree(body);
        } catch (JsonProcessingException error) {
            return JSON.createObjectNode().put("title", body);
        }
    }
}
